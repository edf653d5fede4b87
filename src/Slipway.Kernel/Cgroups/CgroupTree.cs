using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>Removal of a group with all below it.</summary>
internal static class CgroupTree
{
    /// <summary>
    /// Removes <paramref name="name"/> and every group below. A container that may write to its group can nest them as deep as
    /// it likes, so this walks with two descriptors and no recursion. Returns 0 or the error number (EBUSY: processes are left).
    /// </summary>
    public static int TryRemove(SafeFileHandle parent, string name)
    {
        if (Remove(parent, name) is not Errno.EBUSY and int result)
        {
            return result;
        }

        Stack<string> path = new([name]);
        SafeFileHandle? current = CgroupFiles.TryOpenDirectory(parent, name);
        try
        {
            while (current is not null)
            {
                if (CgroupFiles.ListGroups(current) is [string child, ..] && CgroupFiles.TryOpenDirectory(current, child) is { } next)
                {
                    path.Push(child);
                    current.Dispose();
                    current = next;
                    continue;
                }

                string leaf = path.Pop();
                if (path.Count == 0)
                {
                    return Remove(parent, leaf);
                }

                // cgroupfs has neither links nor moves between parents: ".." is the directory this one was found in.
                SafeFileHandle? above = CgroupFiles.TryOpenParent(current);
                current.Dispose();
                current = above;
                if (above is not null && Remove(above, leaf) is not 0 and int errno)
                {
                    return errno;
                }
            }

            return 0;
        }
        finally
        {
            current?.Dispose();
        }
    }

    private static int Remove(SafeFileHandle parent, string name) =>
        CgroupNative.UnlinkAt(parent, name, CgroupNative.AT_REMOVEDIR) == 0 || Marshal.GetLastPInvokeError() == Errno.ENOENT
            ? 0 : Marshal.GetLastPInvokeError();
}
