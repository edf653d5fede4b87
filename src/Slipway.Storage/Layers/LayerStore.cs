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
    public const string Diff = "diff";

    public static ReadOnlySpan<byte> DiffName => "diff"u8;


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

    /// <summary>A place to unpack a layer; what it is is verified afterwards.</summary>
    public StagedLayer Stage() => new(this, _temporary, _layers, _limits);

    public long SizeOf(Digest chainId) => Describe(chainId).Size;

    /// <summary>The exact tar, made again from the recipe; null for a layer without one, which an earlier version unpacked.</summary>
    /// <param name="length">Bytes of the tar; -1 where that is not known.</param>
    public Stream? TryOpenTar(Digest chainId, out long length)
    {
        length = Describe(chainId).TarLength;
        var layer = DirectoryEntry.Open(_layers, chainId.Hex, OpenFlags.Path | OpenFlags.Directory);
        if (length >= 0)
        {
            return new RecipeStream(layer);
        }

        layer.Dispose();
        return null;
    }

    /// <summary>A layer and those below it, highest first; nothing for none.</summary>
    public IReadOnlyList<Digest> Lineage(Digest chainId)
    {
        var lineage = new List<Digest>();
        for (; !chainId.IsNone; chainId = Describe(chainId).Parent)
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

    private LayerFacts Describe(Digest chainId)
    {
        using var layer = DirectoryEntry.Open(_layers, chainId.Hex, OpenFlags.Path | OpenFlags.Directory);
        return LayerFacts.Read(layer);
    }

    internal void Announce()
    {
        lock (_arrival)
        {
            Monitor.PulseAll(_arrival);
        }
    }
}
