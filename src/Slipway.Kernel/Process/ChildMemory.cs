using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Process;

/// <summary>What of this process's memory a cloned child gets.</summary>
public static unsafe class ChildMemory
{
    private const int MaxMapsBytes = 1 << 20;

    /// <summary>
    /// Leaves the program's images and its heap out of the children of this process (madvise(2), MADV_DONTFORK). A child walks a launch plan and
    /// touches only that, the stub and its thread's stack; copying the page tables of the rest and tearing them down at execve was a third of a launch.
    /// What is mapped later is copied as before. For a process that forks in no other way: a child that returned to C# would find no code.
    /// </summary>
    public static void LeaveOutImages()
    {
        using SafeFileHandle maps = new HostPath("/proc/self/maps").Open(OpenFlags.ReadOnly);
        foreach (string line in Encoding.UTF8.GetString(Descriptors.ReadToEnd(maps, MaxMapsBytes)).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (TryParseImage(line, out nuint start, out nuint end)
                && ProcessNative.madvise((void*)start, end - start, ProcessNative.MADV_DONTFORK) != 0
                && Marshal.GetLastPInvokeError() is var errno and not Errno.ENOMEM)
            {
                // ENOMEM: unmapped since the list was read.
                throw new KernelException("madvise(MADV_DONTFORK)", errno);
            }
        }
    }

    /// <summary>
    /// A line of proc_pid_maps(5) that is a private mapping of a file, the C library's heap, the runtime's generated code, or address space that is only
    /// reserved. What is anonymous and accessible stays: thread stacks are among it, where the child's own is and its rseq(2) area.
    /// </summary>
    internal static bool TryParseImage(string line, out nuint start, out nuint end)
    {
        (start, end) = (0, 0);
        string[] fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (fields.Length < 5 || fields[1].Length != 4)
        {
            return false;
        }

        string name = fields.Length > 5 ? fields[5] : "";
        bool isPrivate = fields[1][3] == 'p';
        bool isLeftOut = fields[1].StartsWith("---", StringComparison.Ordinal)
            || (isPrivate && (name.StartsWith('/') || name == "[heap]"))
            || name.StartsWith("/memfd:doublemapper", StringComparison.Ordinal);
        if (!isLeftOut)
        {
            return false;
        }

        int dash = fields[0].IndexOf('-', StringComparison.Ordinal);
        return dash > 0
            && nuint.TryParse(fields[0].AsSpan(0, dash), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out start)
            && nuint.TryParse(fields[0].AsSpan(dash + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out end);
    }
}
