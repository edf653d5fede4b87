using System.Runtime.InteropServices;

namespace Slipway.Kernel.Mounts;

/// <summary>MOUNT_ATTR_* (mount_setattr(2), fsmount(2)).</summary>
[Flags]
public enum MountAttributes : uint
{
    None = 0,
    ReadOnly = 0x1,
    NoSetId = 0x2,
    NoDevices = 0x4,
    NoExecute = 0x8,
    NoAccessTime = 0x10,
    StrictAccessTime = 0x20,
    NoDirectoryAccessTime = 0x80,
    NoSymbolicLinkFollow = 0x200000,

    /// <summary>Files show with the ids of a user namespace (mount_setattr(2), "ID-mapped mounts"). For a detached mount, once.</summary>
    IdMapped = 0x100000,

    /// <summary>The bits of which only one mode may be set; to be cleared when one is set.</summary>
    AccessTimeMask = 0x70,
}

/// <summary>MS_* propagation types (mount_namespaces(7)).</summary>
public enum MountPropagation : ulong
{
    Unchanged = 0,
    Unbindable = 1 << 17,
    Private = 1 << 18,
    Slave = 1 << 19,
    Shared = 1 << 20,
}

/// <summary>struct mount_attr (mount_setattr(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly struct MountAttributeChange(
    MountAttributes set, MountAttributes clear, MountPropagation propagation = MountPropagation.Unchanged, ulong userNamespace = 0)
{
    public const int Size = 32;

    public readonly ulong Set = (ulong)set;
    public readonly ulong Clear = (ulong)clear;
    public readonly ulong Propagation = (ulong)propagation;

    /// <summary>The descriptor of the user namespace of <see cref="MountAttributes.IdMapped"/>.</summary>
    public readonly ulong UserNamespace = userNamespace;

    /// <summary>Sets attributes and clears others. A mode of access times replaces the present one.</summary>
    public static MountAttributeChange Of(MountAttributes set, MountAttributes clear, MountPropagation propagation = MountPropagation.Unchanged) =>
        new(set, ((set | clear) & MountAttributes.AccessTimeMask) != 0 ? clear | MountAttributes.AccessTimeMask : clear, propagation);
}
