using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Images;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Layers;

/// <summary>
/// Unpacked layers: <c>layers/&lt;chain id&gt;/diff</c>. A layer has its name only when it is whole: it is unpacked among the temporary
/// files and renamed. Which layers are needed is for the database to say; a layer somebody is working with is pinned
/// meanwhile.
/// </summary>
/// <remarks>
/// Files are not flushed one by one. A power failure before the commit of the image leaves layers that no row names, which the
/// next start removes; the commit comes after <see cref="Flush"/>, so that a layer which a row names is on the disk.
/// </remarks>
internal sealed class LayerStore : IDisposable
{
    private const string Diff = "diff";

    /// <summary>Bytes of the layer's files, and the chain id of the layer below.</summary>
    private const string SizeFile = "size";
    private const int SizeFileLength = 128;

    private readonly TemporaryDirectory _temporary;
    private readonly SafeFileHandle _layers;
    private readonly HostPath _path;
    private readonly UnpackLimits _limits;
    private readonly KeyedLock<Digest> _unpacking = new();
    private readonly Pins _pins = new();
    private readonly object _arrival = new();

    public LayerStore(HostPath root, TemporaryDirectory temporary, UnpackLimits limits)
    {
        _temporary = temporary;
        _limits = limits;
        _path = root / "layers";
        _path.CreateDirectories(DataRoot.DirectoryMode);
        _layers = _path.Open(OpenFlags.Directory);
    }

    /// <summary>The identity of a layer on top of others (image-spec, config.md, "Layer ChainID").</summary>
    public static Digest ChainId(Digest parent, Digest diffId) => parent.IsNone ? diffId : Digest.Of(Encoding.ASCII.GetBytes($"{parent} {diffId}"));

    public bool Contains(Digest chainId) => FileStatus.TryOf(_layers, chainId.Hex) is not null;

    /// <summary>The layer's directory as a path of the host; every component is the store's own.</summary>
    public HostPath DiffPath(Digest chainId) => _path / chainId.Hex / Diff;

    /// <summary>Keeps a layer from being collected until the result is disposed.</summary>
    public IDisposable Pin(Digest chainId) => _pins.Add(chainId);

    /// <summary>Pins a layer that is there; null where it is not.</summary>
    public IDisposable? TryPin(Digest chainId)
    {
        var pin = Pin(chainId);
        using (_unpacking.Enter(chainId, CancellationToken.None))
        {
            if (Contains(chainId))
            {
                return pin;
            }
        }

        pin.Dispose();
        return null;
    }

    /// <summary>Blocks until a layer is whole; nothing to wait for is none.</summary>
    public void WaitFor(Digest chainId, CancellationToken cancellationToken)
    {
        if (chainId.IsNone)
        {
            return;
        }

        using var registration = cancellationToken.UnsafeRegister(_ => Announce(), null);
        lock (_arrival)
        {
            while (!Contains(chainId))
            {
                cancellationToken.ThrowIfCancellationRequested();
                Monitor.Wait(_arrival);
            }
        }
    }

    /// <summary>The <c>diff</c> directories of layers, in the order given.</summary>
    public List<SafeFileHandle> OpenDiffs(IEnumerable<Digest> chainIds)
    {
        var opened = new List<SafeFileHandle>();
        try
        {
            foreach (var chainId in chainIds)
            {
                opened.Add(DiffPath(chainId).Open(OpenFlags.Path | OpenFlags.Directory));
            }

            return opened;
        }
        catch
        {
            opened.ForEach(diff => diff.Dispose());
            throw;
        }
    }

    /// <summary>
    /// Unpacks a layer unless it is there; several callers that want the same one get one unpacking. The caller has pinned it.
    /// </summary>
    /// <param name="openTar">Opens the uncompressed tar; the digest of all its bytes is <paramref name="diffId"/> or the layer is refused.</param>
    /// <param name="waitForParent">Blocks until the parent layer is whole.</param>
    /// <param name="lower">The layers below, highest first.</param>
    /// <returns>The bytes of the layer's files.</returns>
    public long Unpack(Digest chainId, Digest diffId, Func<Stream> openTar, Action waitForParent, Func<IReadOnlyList<Digest>> lower, CancellationToken cancellationToken)
    {
        using var _ = _unpacking.Enter(chainId, cancellationToken);
        if (Contains(chainId))
        {
            return SizeOf(chainId);
        }

        using var staging = Stage();
        using var lowerLayers = new LowerLayers(() =>
        {
            waitForParent();
            return OpenDiffs(lower());
        });
        using var tar = new DigestStream(openTar());
        var size = staging.Unpack(tar, lowerLayers, cancellationToken);
        var actual = tar.Finish(cancellationToken);
        if (actual != diffId)
        {
            throw new StorageException(StorageErrorKind.InvalidParameter, $"invalid diffID for layer: expected \"{diffId}\", got \"{actual}\"");
        }

        waitForParent();
        staging.Publish(chainId, lower() is [var parent, ..] ? parent : default);
        return size;
    }

    /// <summary>A place to unpack a layer whose identity is known only afterwards.</summary>
    public Staging Stage() => new(this, _temporary.NewName("layer"));

    public long SizeOf(Digest chainId) => BitConverter.ToInt64(ReadSizeFile(chainId));

    /// <summary>A layer and those below it, highest first; nothing for none.</summary>
    public IReadOnlyList<Digest> Lineage(Digest chainId)
    {
        var lineage = new List<Digest>();
        for (; !chainId.IsNone; chainId = ParentOf(chainId))
        {
            lineage.Add(chainId);
        }

        return lineage;
    }

    /// <summary>Puts all layers and blobs on the disk (syncfs(2)).</summary>
    public void Flush() => Descriptors.SyncFileSystem(_layers);

    /// <summary>Deletes a layer that nobody has pinned; false where somebody has.</summary>
    public bool TryDelete(Digest chainId)
    {
        using var _ = _unpacking.Enter(chainId, CancellationToken.None);
        if (_pins.Contains(chainId))
        {
            return false;
        }

        _temporary.Consume(_layers, chainId.Hex);
        return true;
    }

    /// <summary>All layers that are whole.</summary>
    public IEnumerable<Digest> List()
    {
        foreach (var entry in new DirectoryListing(_layers))
        {
            if (Digest.TryParse($"{Digest.Sha256}:{Encoding.UTF8.GetString(entry.Name)}", out var chainId))
            {
                yield return chainId;
            }
        }
    }

    public void Dispose() => _layers.Dispose();

    private Digest ParentOf(Digest chainId) =>
        ReadSizeFile(chainId).AsSpan(sizeof(long)) is { IsEmpty: false } parent ? Digest.Parse(Encoding.ASCII.GetString(parent)) : default;

    private byte[] ReadSizeFile(Digest chainId)
    {
        using var layer = DirectoryEntry.Open(_layers, chainId.Hex, OpenFlags.Path | OpenFlags.Directory);
        using var file = DirectoryEntry.Open(layer, SizeFile, OpenFlags.ReadOnly);
        return Descriptors.ReadToEnd(file, SizeFileLength);
    }

    private void Announce()
    {
        lock (_arrival)
        {
            Monitor.PulseAll(_arrival);
        }
    }

    /// <summary>A layer being unpacked; disposing one that was not published removes it.</summary>
    internal sealed class Staging : IDisposable
    {
        private readonly LayerStore _store;
        private readonly string _name;
        private readonly SafeFileHandle _directory;
        private long _size;
        private bool _published;

        public Staging(LayerStore store, string name)
        {
            (_store, _name) = (store, name);
            DirectoryEntry.CreateDirectory(store._temporary.Descriptor, name, DataRoot.DirectoryMode);
            _directory = DirectoryEntry.Open(store._temporary.Descriptor, name, OpenFlags.Directory);
            DirectoryEntry.CreateDirectory(_directory, Diff, DataRoot.DirectoryMode);
        }

        /// <summary>Unpacks a tar; once.</summary>
        public long Unpack(Stream tar, LowerLayers lower, CancellationToken cancellationToken)
        {
            using var diff = DirectoryEntry.Open(_directory, Diff, OpenFlags.Directory);
            using var unpacker = new LayerUnpacker(diff, _directory, Diff, lower, _store._limits, cancellationToken);
            unpacker.Unpack(new BufferedStream(tar, 64 << 10));
            return _size = unpacker.Size;
        }

        /// <summary>Gives the layer its name. One that is there already stays, and this one goes.</summary>
        public void Publish(Digest chainId, Digest parent)
        {
            using (var size = DirectoryEntry.CreateFile(_directory, SizeFile, 0x180))
            {
                Descriptors.Write(size, [.. BitConverter.GetBytes(_size), .. Encoding.ASCII.GetBytes(parent.ToString())]);
            }

            try
            {
                DirectoryEntry.Rename(_store._temporary.Descriptor, _name, _store._layers, chainId.Hex, RenameFlags.NoReplace);
                _published = true;
            }
            catch (KernelException error) when (error.Errno == Errno.EEXIST)
            {
                // Same chain id, same content.
            }

            _store.Announce();
        }

        public void Dispose()
        {
            _directory.Dispose();
            if (!_published)
            {
                TreeRemoval.Remove(_store._temporary.Descriptor, _name);
            }
        }
    }
}
