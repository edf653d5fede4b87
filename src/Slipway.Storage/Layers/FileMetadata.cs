using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci.Tar;

namespace Slipway.Storage.Layers;

/// <summary>
/// Owner, extended attributes, mode, times, in this order: chown clears set-id bits and security.capability (chown(2)), and
/// everything changes the times. Nothing follows a link (GHSA-c72p-9xmj-rx3w). What a new file has already is not set again: a
/// distribution has tens of thousands of files, nearly all of them owned by root and with an ordinary mode.
/// </summary>
internal sealed class FileMetadata
{
    private const uint SpecialBits = 0xe00; // set-user-id, set-group-id, sticky

    private readonly FileCreationDefaults _defaults = FileCreationDefaults.Read();

    /// <summary>A directory of the layer has a default ACL (acl(5)), which new files inherit in place of the umask.</summary>
    private bool _hasDefaultAcl;

    /// <summary>For a regular file just made with <see cref="CreationMode"/> and written.</summary>
    public void Apply(TarEntry entry, SafeFileHandle file, LayerDirectory directory, ReadOnlySpan<byte> name)
    {
        if (NeedsOwner(entry, directory))
        {
            Descriptors.ChangeOwner(file, Id(entry.Uid, "user", entry), Id(entry.Gid, "group", entry));
        }

        SetXattrs(entry, directory.Descriptor, name);
        if (NeedsMode(entry, directory))
        {
            Descriptors.ChangeMode(file, entry.Mode);
        }

        var time = TimeOf(entry);
        Descriptors.SetTimes(file, time, time);
    }

    /// <summary>For anything else that was just made with <see cref="CreationMode"/>; the time of a directory is left, for what is made inside changes it.</summary>
    public void Apply(TarEntry entry, LayerDirectory directory, ReadOnlySpan<byte> name)
    {
        if (NeedsOwner(entry, directory))
        {
            DirectoryEntry.ChangeOwner(directory.Descriptor, name, Id(entry.Uid, "user", entry), Id(entry.Gid, "group", entry));
        }

        SetXattrs(entry, directory.Descriptor, name);
        if (entry.Type != TarEntryType.SymbolicLink && NeedsMode(entry, directory))
        {
            DirectoryEntry.ChangeMode(directory.Descriptor, name, entry.Mode);
        }

        if (entry.Type != TarEntryType.Directory)
        {
            var time = TimeOf(entry);
            DirectoryEntry.SetTimes(directory.Descriptor, name, time, time);
        }
    }

    /// <summary>For a directory that was there before.</summary>
    public void ApplyToExisting(TarEntry entry, SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        DirectoryEntry.ChangeOwner(directory, name, Id(entry.Uid, "user", entry), Id(entry.Gid, "group", entry));
        SetXattrs(entry, directory, name);
        DirectoryEntry.ChangeMode(directory, name, entry.Mode);
    }

    /// <summary>The mode to make a file with: set-id bits come after the owner.</summary>
    public static uint CreationMode(TarEntry entry) => entry.Mode & ~SpecialBits;

    /// <summary>The modification time; also taken for the access time, which images do not mean.</summary>
    public static FileTime TimeOf(TarEntry entry) => new(entry.ModificationTime.Seconds, entry.ModificationTime.Nanoseconds);

    /// <summary>Gives a file of this layer the metadata of a lower layer's.</summary>
    public static void Copy(LowerEntry from, SafeFileHandle directory, ReadOnlySpan<byte> name) => Copy(from.Directory, from.Name, from.Status, directory, name);

    /// <summary>Gives a file the metadata of another.</summary>
    public static void Copy(SafeFileHandle fromDirectory, PathName fromName, in FileStatus from, SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        DirectoryEntry.ChangeOwner(directory, name, from.UserId, from.GroupId);
        foreach (var attribute in ExtendedAttributes.List(fromDirectory, fromName))
        {
            if (ExtendedAttributes.Get(fromDirectory, fromName, attribute) is { } value)
            {
                SetXattr(directory, name, attribute, value, holdsUserXattrs: from.Type is FileType.RegularFile or FileType.Directory);
            }
        }

        if (!from.IsSymbolicLink)
        {
            DirectoryEntry.ChangeMode(directory, name, from.Permissions);
        }

        DirectoryEntry.SetTimes(directory, name, from.AccessTime, from.ModificationTime);
    }

    private bool NeedsOwner(TarEntry entry, LayerDirectory directory) =>
        entry.Uid != _defaults.UserId || entry.Gid != _defaults.GroupId || directory.HandsDownGroup;

    private bool NeedsMode(TarEntry entry, LayerDirectory directory) =>
        (entry.Mode & (SpecialBits | _defaults.Umask)) != 0 || directory.HandsDownGroup || _hasDefaultAcl;

    private void SetXattrs(TarEntry entry, SafeFileHandle directory, ReadOnlySpan<byte> name)
    {
        foreach (var xattr in entry.Xattrs)
        {
            _hasDefaultAcl |= xattr.Name.AsSpan().SequenceEqual("system.posix_acl_default"u8);
            SetXattr(directory, name, xattr.Name, xattr.Value, entry.Type == TarEntryType.Regular || entry.Type == TarEntryType.Directory);
        }
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
