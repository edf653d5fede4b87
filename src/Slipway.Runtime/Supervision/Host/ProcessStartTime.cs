using System.Buffers.Text;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Streams;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>When a process started, in clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)).</summary>
internal static class ProcessStartTime
{
    private const int FieldsAfterName = 20;

    /// <summary>0 where the process is gone.</summary>
    public static ulong Read(int pid)
    {
        try
        {
            using SafeFileHandle file = new HostPath(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat")).Open(OpenFlags.ReadOnly);
            Span<byte> text = stackalloc byte[1024];
            text = text[..Math.Max(0, DescriptorIO.Read(file, text))];

            // The name is in parentheses and may contain anything, so counting starts after the last one.
            text = text[(text.LastIndexOf((byte)')') + 1)..];
            for (int field = 0; field < FieldsAfterName; field++)
            {
                text = text[(text.IndexOf((byte)' ') + 1)..];
            }

            return Utf8Parser.TryParse(text, out ulong value, out _) ? value : 0;
        }
        catch (KernelException)
        {
            return 0;
        }
    }
}
