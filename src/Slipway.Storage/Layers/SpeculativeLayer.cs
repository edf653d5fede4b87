using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Layers;

/// <summary>
/// A file of an archive that looks like a layer, unpacked while the archive is read: what it is a layer of stands at the archive's end. A
/// thread unpacks what the reader of the archive feeds. Whether it was a layer at all, and a good one, matters only once it is used.
/// </summary>
internal sealed class SpeculativeLayer : IDisposable
{
    private readonly Conveyor _input = new();
    private readonly StagedLayer _staging;
    private readonly Thread _thread;
    private readonly CancellationToken _cancellationToken;
    private Digest _fileDigest;
    private Digest _diffId;
    private Exception? _error;
    private Digest _publishedAs;

    /// <param name="limits">Of its decompression; null for a tar that is not compressed.</param>
    /// <param name="ended">Called by the thread when it has ended.</param>
    public SpeculativeLayer(LayerStore layers, ExpansionLimits? limits, Action ended, CancellationToken cancellationToken)
    {
        _cancellationToken = cancellationToken;
        _staging = layers.Stage();
        _thread = new Thread(() =>
        {
            Unpack(limits);
            ended();
        })
        {
            Name = "layer-unpack",
            IsBackground = true,
        };
        _thread.Start();
    }

    /// <summary>A buffer for the next bytes of the file; null where no more are wanted.</summary>
    public byte[]? Take() => _input.Take();

    public void Feed(byte[] buffer, int length) => _input.Put(buffer, length);

    /// <summary>The file is complete.</summary>
    /// <param name="digest">Of the file; the diff id of a layer that is not compressed.</param>
    public void End(Digest digest)
    {
        _fileDigest = digest;
        _input.End(null);
    }

    /// <summary>Waits for the unpacking, and makes the result a layer on top of another.</summary>
    /// <param name="parent">None, or a layer that is whole.</param>
    /// <exception cref="StorageException">InvalidParameter: it is no layer, or another one.</exception>
    public void Publish(LayerStore layers, Digest chainId, Digest diffId, Digest parent)
    {
        _thread.Join();
        if (_error is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_error);
        }

        var actual = _diffId.IsNone ? _fileDigest : _diffId;
        if (actual != diffId)
        {
            throw LayerReader.WrongDiffId(diffId, actual);
        }

        if (_publishedAs.IsNone && !_staging.LacksLower)
        {
            _staging.Publish(chainId, parent);
            _publishedAs = chainId;
            return;
        }

        // Wanted a second time, on top of another layer; or it links to files of the layers below.
        using var again = layers.Stage();
        using var tar = _publishedAs.IsNone ? _staging.OpenTar() : layers.TryOpenTar(_publishedAs, out _)!;
        using var lower = new LowerLayers(() => layers.OpenDiffs(layers.Lineage(parent)));
        again.Unpack(tar, lower, _cancellationToken);
        again.Publish(chainId, parent);
    }

    public void Dispose()
    {
        _input.Dispose();
        _input.End(null);
        _thread.Join();
        _staging.Dispose();
    }

    private void Unpack(ExpansionLimits? limits)
    {
        try
        {
            using var input = _input.Output;
            if (limits is null)
            {
                _staging.Unpack(input, lower: null, _cancellationToken);
                return;
            }

            using var tar = new DigestStream(Decompression.Open(input, limits));
            _staging.Unpack(tar, lower: null, _cancellationToken);
            _diffId = tar.Finish(_cancellationToken);
        }
#pragma warning disable CA1031 // Thrown to whoever wants the layer.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _error = error switch
            {
                InvalidDataException => new StorageException(StorageErrorKind.InvalidParameter, $"invalid layer: {error.Message}", error),
                KernelException kernel => HostErrors.Map(kernel, "invalid layer"),
                _ => error,
            };
        }
    }
}
