using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// Where the file systems of the kernel are mounted. A container's image has nothing to say about these: what it has there is a directory or nothing, for our own
/// runtime and for those of the host (CVE-2026-41579, CVE-2019-19921).
/// </summary>
public static class SystemFolders
{
    private static readonly string[] s_paths = ["/dev", "/proc", "/sys"];

    /// <exception cref="PlanException">Invalid: there is something else.</exception>
    public static void Check(SafeFileHandle rootfs)
    {
        foreach (string path in s_paths)
        {
            Check(rootfs, path);
        }
    }

    /// <param name="destination">Any mount point; only those that are such a folder are looked at.</param>
    internal static void Check(SafeFileHandle rootfs, string destination)
    {
        if (Array.IndexOf(s_paths, destination) >= 0 && FileStatus.TryOf(rootfs, destination[1..]) is { IsDirectory: false } status)
        {
            throw PlanException.Invalid($"invalid image: {destination} is {Describe(status.Type)}, it must be an ordinary directory");
        }
    }

    private static string Describe(FileType type) => type switch
    {
        FileType.SymbolicLink => "a symbolic link",
        FileType.RegularFile => "a file",
        _ => "no directory",
    };
}
