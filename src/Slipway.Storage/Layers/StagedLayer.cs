using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage.Content;

namespace Slipway.Storage.Layers;

/// <summary>A layer on its way, among the temporary files; disposing one that was not published removes it.</summary>
internal sealed class StagedLayer : IDisposable
{
    private readonly LayerStore _store;
    private readonly TemporaryDirectory _temporary;
    private readonly SafeFileHandle _layers;
    private readonly UnpackLimits _limits;
    private readonly string _name;
    private readonly SafeFileHandle _directory;
    private SafeFileHandle? _diff;
    private LayerUnpacker? _unpacker;
    private bool _published;

    public StagedLayer(LayerStore store, TemporaryDirectory temporary, SafeFileHandle layers, UnpackLimits limits)
    {
        (_store, _temporary, _layers, _limits) = (store, temporary, layers, limits);
        _name = temporary.NewName("layer");
        DirectoryEntry.CreateDirectory(temporary.Descriptor, _name, DataRoot.DirectoryMode);
        try
        {
            _directory = DirectoryEntry.Open(temporary.Descriptor, _name, OpenFlags.Directory);
            DirectoryEntry.CreateDirectory(_directory, LayerStore.Diff, DataRoot.DirectoryMode);
        }
        catch
        {
            _directory?.Dispose();
            TreeRemoval.Remove(temporary.Descriptor, _name);
            throw;
        }
    }

    /// <summary>Bytes of the regular files.</summary>
    public long Size => _unpacker?.Size ?? 0;

    /// <summary>The archive links to files of lower layers that were not known: it has to be unpacked again, from <see cref="OpenTar"/>.</summary>
    public bool LacksLower => _unpacker?.LacksLower ?? false;

    /// <summary>Unpacks a tar, once, and reads the stream to its end.</summary>
    /// <param name="lower">The layers below; null where they are not known yet.</param>
    public void Unpack(Stream tar, LowerLayers? lower, CancellationToken cancellationToken)
    {
        _diff = DirectoryEntry.Open(_directory, LayerStore.Diff, OpenFlags.Directory);
        _unpacker = new LayerUnpacker(_directory, _diff, lower, _limits, cancellationToken);
        _unpacker.Unpack(tar);
    }

    /// <summary>The tar that was unpacked, made again.</summary>
    public Stream OpenTar() => new RecipeStream(Descriptors.Duplicate(_directory));

    /// <summary>Gives the layer its name. One that is there already stays, and this one goes.</summary>
    /// <param name="parent">None, or a layer that is whole.</param>
    public void Publish(Digest chainId, Digest parent)
    {
        using (var lower = new LowerLayers(() => _store.OpenDiffs(_store.Lineage(parent))))
        {
            _unpacker!.Inherit(lower);
        }

        new LayerFacts(_unpacker.Size, _unpacker.TarLength, parent).Write(_directory);
        try
        {
            DirectoryEntry.Rename(_temporary.Descriptor, _name, _layers, chainId.Hex, RenameFlags.NoReplace);
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
        _unpacker?.Dispose();
        _diff?.Dispose();
        if (!_directory.IsClosed)
        {
            _directory.Dispose();
            if (!_published)
            {
                TreeRemoval.Remove(_temporary.Descriptor, _name);
            }
        }
    }
}
