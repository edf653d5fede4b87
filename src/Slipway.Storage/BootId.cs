using System.Text;
using Slipway.Kernel.Files;

namespace Slipway.Storage;

/// <summary>
/// The kernel's name for the time since it was started (random(4), <c>boot_id</c>): what was written without being flushed can be trusted under
/// the same one only.
/// </summary>
internal static class BootId
{
    private const int Length = 36;

    public static string Current { get; } = Read();

    private static string Read()
    {
        using var file = new HostPath("/proc/sys/kernel/random/boot_id").Open(OpenFlags.ReadOnly);
        return Encoding.ASCII.GetString(Descriptors.ReadToEnd(file, 2 * Length)).Trim();
    }
}
