using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci.Tar;

namespace Slipway.Storage.Layers;

/// <summary>
/// Owner, extended attributes, mode, times, in this order: chown clears set-id bits and security.capability (chown(2)), and
/// everything changes the times. Nothing follows a link (GHSA-c72p-9xmj-rx3w).
/// </summary>
internal static class FileMetadata
{
    public static void Apply(TarEntry entry, SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        DirectoryEntry.ChangeOwner(directory, name, Id(entry.Uid, "user", entry), Id(entry.Gid, "group", entry));
        foreach (var xattr in entry.Xattrs)
        {
            SetXattr(directory, name, xattr.Name, xattr.Value, entry.Type == TarEntryType.Regular || entry.Type == TarEntryType.Directory);
        }

        if (entry.Type != TarEntryType.SymbolicLink)
        {
            DirectoryEntry.ChangeMode(directory, name, entry.Mode);
        }

        if (entry.Type != TarEntryType.Directory)
        {
            var time = TimeOf(entry);
            DirectoryEntry.SetTimes(directory, name, time, time);
        }
    }

    /// <summary>The modification time; also taken for the access time, which images do not mean.</summary>
    public static FileTime TimeOf(TarEntry entry) => new(entry.ModificationTime.Seconds, entry.ModificationTime.Nanoseconds);

    /// <summary>Gives a file of this layer the metadata of a lower layer's.</summary>
    public static void Copy(LowerEntry from, SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        DirectoryEntry.ChangeOwner(directory, name, from.Status.UserId, from.Status.GroupId);
        foreach (var attribute in ExtendedAttributes.List(from.Directory, from.Name))
        {
            if (ExtendedAttributes.Get(from.Directory, from.Name, attribute) is { } value)
            {
                SetXattr(directory, name, attribute, value, holdsUserXattrs: from.Status.Type is FileType.RegularFile or FileType.Directory);
            }
        }

        if (!from.Status.IsSymbolicLink)
        {
            DirectoryEntry.ChangeMode(directory, name, from.Status.Permissions);
        }

        DirectoryEntry.SetTimes(directory, name, from.Status.AccessTime, from.Status.ModificationTime);
    }

    /// <summary>
    /// overlayfs keeps its own marks in trusted.overlay.* and user.overlay.*: an image that sets them could redirect lookups,
    /// so they are left out. Attributes that the file system or the kind of file cannot hold are left out as by Docker.
    /// </summary>
    private static void SetXattr(SafeFileHandle directory, ReadOnlySpan<byte> name, byte[] attribute, byte[] value, bool holdsUserXattrs)
    {
        if (attribute.AsSpan().StartsWith("trusted.overlay."u8) || attribute.AsSpan().StartsWith("user.overlay."u8)
            || (attribute.AsSpan().StartsWith("user."u8) && !holdsUserXattrs))
        {
            return;
        }

        try
        {
            ExtendedAttributes.Set(directory, name, attribute, value);
        }
        catch (KernelException error) when (error.Errno == Errno.EOPNOTSUPP)
        {
            // No file system can be asked beforehand; what it does not support the container would not see on this host either.
        }
    }

    /// <summary>Ids are 32 bits, and the highest means "leave it" to chown(2): a larger one must not become another, least of all root (CVE-2024-40635).</summary>
    private static uint Id(long id, string kind, TarEntry entry) => id is >= 0 and < uint.MaxValue
        ? (uint)id
        : throw EntryPath.Invalid(entry.Name, $"its {kind} id {id} is out of range");
}
