using System.Runtime.InteropServices;

namespace Slipway.Kernel.Users;

/// <summary>
/// While it is held, this thread makes files as somebody else (setfsuid(2)), with the privileges it had: what it makes on an id-mapped mount
/// belongs to the container's root. The host's root has no id there, and making a file as nobody fails with EOVERFLOW.
/// </summary>
/// <remarks>
/// For one thread and for synchronous code only: await nothing meanwhile. A thread that is started meanwhile inherits the identity.
/// </remarks>
public sealed unsafe partial class FileSystemIdentity : IDisposable
{
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly uint _formerUser;
    private readonly uint _formerGroup;

    private FileSystemIdentity(uint formerUser, uint formerGroup) => (_formerUser, _formerGroup) = (formerUser, formerGroup);

    /// <summary>Takes on the identity until it is disposed of, on the same thread.</summary>
    public static FileSystemIdentity Assume(uint userId, uint groupId) => new(Change(userId, groupId, out uint formerGroup), formerGroup);

    /// <summary>Takes on the identity of a user namespace's root; null, which changes nothing, where there is no such namespace.</summary>
    public static FileSystemIdentity? AssumeRootOf(IdMaps? maps) => maps is null ? null : Assume(maps.Root.UserId, maps.Root.GroupId);

    public void Dispose()
    {
        // A thread of the pool that went on as somebody else would make the engine's own files his.
        if (Environment.CurrentManagedThreadId != _thread)
        {
            Environment.FailFast("a file system identity was given back by another thread");
        }

        _ = Change(_formerUser, _formerGroup, out _);
    }

    private static uint Change(uint userId, uint groupId, out uint formerGroup)
    {
        formerGroup = (uint)setfsgid(groupId);
        uint formerUser = (uint)setfsuid(userId);

        // Neither call tells of a failure (setfsuid(2), "BUGS"): -1 changes nothing and says who it is.
        if ((uint)setfsuid(uint.MaxValue) != userId || (uint)setfsgid(uint.MaxValue) != groupId)
        {
            _ = setfsuid(formerUser);
            _ = setfsgid(formerGroup);
            throw new KernelException($"setfsuid {userId}:{groupId}", Errno.EPERM);
        }

        // Whoever gives up user 0 loses the effective capabilities on files (capabilities(7)); the permitted ones stay.
        CapabilityHeader header = new() { Version = CapabilityHeader.Version3 };
        CapabilityData* data = stackalloc CapabilityData[2];
        if (capget(&header, data) == 0)
        {
            data[0].Effective = data[0].Permitted;
            data[1].Effective = data[1].Permitted;
            if (capset(&header, data) == 0)
            {
                return formerUser;
            }
        }

        int errno = Marshal.GetLastPInvokeError();
        _ = setfsuid(formerUser);
        _ = setfsgid(formerGroup);
        throw new KernelException("capset", errno);
    }

    [LibraryImport("libc")]
    private static partial int setfsuid(uint id);

    [LibraryImport("libc")]
    private static partial int setfsgid(uint id);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int capget(CapabilityHeader* header, CapabilityData* data);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int capset(CapabilityHeader* header, CapabilityData* data);

    [StructLayout(LayoutKind.Sequential)]
    private struct CapabilityHeader
    {
        public const uint Version3 = 0x20080522;

        public uint Version;
        public int Pid;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CapabilityData
    {
        public uint Effective;
        public uint Permitted;
        public uint Inheritable;
    }
}
