using Slipway.Kernel.Files;

namespace Slipway.BuildKit.Files;

/// <summary>Types and permissions as clients send them: the bits of Go's io/fs.FileMode, which are not those of the kernel.</summary>
internal static class FileModes
{
    private const uint Directory = 1u << 31;
    private const uint SymbolicLink = 1u << 27;
    private const uint Device = 1u << 26;
    private const uint NamedPipe = 1u << 25;
    private const uint Socket = 1u << 24;
    private const uint SetUserId = 1u << 23;
    private const uint SetGroupId = 1u << 22;
    private const uint CharacterDevice = 1u << 21;
    private const uint Sticky = 1u << 20;
    private const uint Permissions = 0x1ff;

    public static FileType TypeOf(uint mode) => (mode & (Directory | SymbolicLink | Device | NamedPipe | Socket)) switch
    {
        0 => FileType.RegularFile,
        Directory => FileType.Directory,
        SymbolicLink => FileType.SymbolicLink,
        Device => (mode & CharacterDevice) != 0 ? FileType.CharacterDevice : FileType.BlockDevice,
        NamedPipe => FileType.Fifo,
        Socket => FileType.Socket,
        _ => FileType.None,
    };

    /// <summary>07777.</summary>
    public static uint PermissionsOf(uint mode) =>
        (mode & Permissions) | ((mode & SetUserId) != 0 ? 0x800u : 0) | ((mode & SetGroupId) != 0 ? 0x400u : 0) | ((mode & Sticky) != 0 ? 0x200u : 0);

    public static uint Of(in FileStatus status) =>
        (status.Permissions & Permissions)
        | ((status.Permissions & 0x800) != 0 ? SetUserId : 0)
        | ((status.Permissions & 0x400) != 0 ? SetGroupId : 0)
        | ((status.Permissions & 0x200) != 0 ? Sticky : 0)
        | status.Type switch
        {
            FileType.Directory => Directory,
            FileType.SymbolicLink => SymbolicLink,
            FileType.CharacterDevice => Device | CharacterDevice,
            FileType.BlockDevice => Device,
            FileType.Fifo => NamedPipe,
            FileType.Socket => Socket,
            _ => 0,
        };
}
