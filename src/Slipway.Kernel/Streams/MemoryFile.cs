using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>A file without a name (memfd_create(2)), to hand bytes of any length to another process.</summary>
public static class MemoryFile
{
    /// <param name="name">Seen in /proc/PID/fd only.</param>
    public static SafeFileHandle Create(string name, ReadOnlySpan<byte> content)
    {
        int descriptor = StreamNative.memfd_create(name, StreamNative.MFD_CLOEXEC);
        if (descriptor < 0)
        {
            throw new KernelException($"memfd_create \"{name}\"", Marshal.GetLastPInvokeError());
        }

        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        while (!content.IsEmpty)
        {
            int written = DescriptorIO.Write(file, content);
            if (written < 0)
            {
                file.Dispose();
                throw new KernelException($"write of memfd \"{name}\"", -written);
            }

            content = content[written..];
        }

        return file;
    }
}
