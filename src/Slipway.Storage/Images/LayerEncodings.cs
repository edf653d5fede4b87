using Slipway.Oci;
using Slipway.Storage.Content;
using Slipway.Storage.Layers;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Images;

/// <summary>Compressed forms of layers that were made before and are not kept: the same encoder makes the same bytes again.</summary>
internal sealed class LayerEncodings(StateDatabase database, LayerTars tars)
{
    /// <returns>No digest: none was made.</returns>
    public Task<(Digest Digest, long Size)> FindAsync(Digest diffId, CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => connection.Query(
                "SELECT digest, size FROM layer_encodings WHERE diff_id = $1 AND encoder = $2",
                reader => (Digest.Parse(reader.GetString(0)), reader.GetInt64(1)),
                diffId.ToString(), GzipEncoder.Name).FirstOrDefault(),
            cancellationToken);

    public Task RememberAsync(Digest diffId, Digest digest, long size, CancellationToken cancellationToken) =>
        database.WriteAsync(
            connection => connection.Execute(
                "INSERT INTO layer_encodings (diff_id, encoder, digest, size) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                diffId.ToString(), GzipEncoder.Name, digest.ToString(), size),
            cancellationToken);

    /// <summary>Makes a blob again while it is read; what is not the blob that was promised ends with an error instead of an end.</summary>
    public ProducedStream Produce(Layer layer, Digest blob, Descriptor descriptor, Action<Stream, Stream, CancellationToken> encode) =>
        new("layer-encode", (output, cancellationToken) => Write(layer, blob, descriptor, encode, output, cancellationToken));

    /// <summary>As <see cref="Produce"/>, compressed by gzip, for a reader that blocks.</summary>
    public Stream Open(Layer layer, Digest blob, Descriptor descriptor) =>
        Conveyor.Produce("layer-encode", output => Write(layer, blob, descriptor, GzipEncoder.Encode, output, CancellationToken.None));

    private void Write(Layer layer, Digest blob, Descriptor descriptor, Action<Stream, Stream, CancellationToken> encode, Stream output, CancellationToken cancellationToken)
    {
        using var tar = tars.Open(layer, blob);
        using var digest = new DigestSink(output);
        encode(tar, digest, cancellationToken);
        if (digest.Length != descriptor.Size || digest.Finish() != descriptor.Digest)
        {
            throw new StorageException(StorageErrorKind.System, $"layer {layer.ChainId} is damaged: it no longer yields {descriptor.Digest}");
        }
    }
}
