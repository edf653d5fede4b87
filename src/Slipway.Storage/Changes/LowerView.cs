using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Changes;

/// <summary>What a container's image shows: the tree its own layer is compared with.</summary>
/// <param name="root">The lower layers, merged; owned from now on.</param>
internal sealed class LowerView(SafeFileHandle root) : IDisposable
{
    private static ReadOnlySpan<byte> Capability => "security.capability"u8;

    private readonly RootDirectory _root = new(root);

    /// <summary>The file at a path, or null; links on the way lead nowhere, because the container's layer has a directory there.</summary>
    public FileStatus? Find(ReadOnlySpan<byte> path)
    {
        if (_root.TryOpen(path, OpenFlags.Path | OpenFlags.NoFollow, out var file, resolution: Resolution.Canonical) != 0)
        {
            return null;
        }

        using (file)
        {
            return FileStatus.Of(file!);
        }
    }

    /// <summary>The names in a directory, in byte order, for the caller to change; none where there is no directory.</summary>
    public SortedSet<byte[]> Names(ReadOnlySpan<byte> path)
    {
        SortedSet<byte[]> names = new(Comparer<byte[]>.Create((left, right) => left.AsSpan().SequenceCompareTo(right)));
        if (_root.TryOpen(path, OpenFlags.Path | OpenFlags.Directory | OpenFlags.NoFollow, out var directory, resolution: Resolution.Canonical) != 0)
        {
            return names;
        }

        using (directory)
        {
            names.UnionWith(new DirectoryListing(directory!).Select(entry => entry.Name));
            return names;
        }
    }

    /// <summary>
    /// Whether a file differs from what the image has at its path, in what people can see: kind, owner, mode, device, capabilities;
    /// size and time but for directories, whose time changes with every file in them.
    /// </summary>
    public bool Differs(in WalkedFile file, in FileStatus below)
    {
        var status = file.Status;
        return status.Type != below.Type || status.Permissions != below.Permissions || status.UserId != below.UserId || status.GroupId != below.GroupId
            || status.SpecialDevice != below.SpecialDevice
            || (!status.IsDirectory && (status.ModificationTime != below.ModificationTime || status.Size != below.Size))
            || !CapabilitiesOf(file.Directory, file.Name).AsSpan().SequenceEqual(CapabilitiesBelow(file.Path));
    }

    public void Dispose() => _root.Dispose();

    private static byte[] CapabilitiesOf(SafeFileHandle directory, ReadOnlySpan<byte> name) => UpperTree.Attribute(directory, name, Capability) ?? [];

    private byte[] CapabilitiesBelow(ReadOnlySpan<byte> path)
    {
        var slash = path.LastIndexOf((byte)'/');
        var errno = _root.TryOpen(slash < 0 ? ""u8 : path[..slash], OpenFlags.Path | OpenFlags.Directory, out var directory, resolution: Resolution.Canonical);
        if (errno != 0)
        {
            throw new KernelException($"open the directory of \"{new PathName(path).ToString()}\" in the image", errno);
        }

        using (directory)
        {
            return CapabilitiesOf(directory!, path[(slash + 1)..]);
        }
    }
}
