using System.Runtime.InteropServices;
using Slipway.Kernel.Security;

namespace Slipway.Kernel.Users;

/// <summary>
/// While it is held, this thread makes files as somebody else (setfsuid(2)), with the privileges it had: what it makes on an id-mapped mount
/// belongs to the container's root. The host's root has no id there, and making a file as nobody fails with EOVERFLOW.
/// </summary>
/// <remarks>
/// For one thread and for synchronous code only: await nothing meanwhile. A thread that is started meanwhile inherits the identity.
/// </remarks>
public sealed partial class FileSystemIdentity : IDisposable
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
        ulong capabilities = ThreadCapabilities.Effective;
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
        int errno = ThreadCapabilities.TrySetEffective(capabilities);
        if (errno == 0)
        {
            return formerUser;
        }

        _ = setfsuid(formerUser);
        _ = setfsgid(formerGroup);
        throw new KernelException("capset", errno);
    }

    [LibraryImport("libc")]
    private static partial int setfsuid(uint id);

    [LibraryImport("libc")]
    private static partial int setfsgid(uint id);
}
