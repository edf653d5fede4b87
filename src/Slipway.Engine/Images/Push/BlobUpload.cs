using Slipway.Engine.Images.Progress;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Push;

/// <summary>Brings one blob to a registry and tells its progress in Docker's words.</summary>
/// <param name="mountFrom">Repositories of the registry that are thought to have the blob.</param>
/// <param name="line">Null for a configuration, which has none.</param>
internal sealed class BlobUpload(
    IRemoteRepository target, PublishedBlob blob, IReadOnlyList<string> mountFrom, SourceRepositories sources, ProgressLine? line) : IProgress<long>
{
    public async Task RunAsync(SemaphoreSlim slots, CancellationToken cancellationToken)
    {
        if (!slots.Wait(0, cancellationToken))
        {
            line?.State("Waiting");
            await slots.WaitAsync(cancellationToken);
        }

        try
        {
            BlobPush pushed = await target.PushBlobAsync(blob.Descriptor, mountFrom, OpenAsync, this, cancellationToken);
            line?.State(pushed.Kind switch
            {
                BlobPushKind.AlreadyThere => "Layer already exists",
                BlobPushKind.Mounted => $"Mounted from {pushed.MountedFrom}",
                _ => "Pushed",
            });
        }
        finally
        {
            slots.Release();
        }
    }

    public void Report(long value) => line?.Amount("Pushing", value, blob.Descriptor.Size);

    private ValueTask<Stream> OpenAsync(CancellationToken cancellationToken) =>
        blob.IsLocal ? blob.OpenAsync(cancellationToken) : new ValueTask<Stream>(FetchAsync(cancellationToken));

    /// <summary>Bytes that are not here come from where the image came from, straight through.</summary>
    private async Task<Stream> FetchAsync(CancellationToken cancellationToken)
    {
        List<RegistryException> refusals = [];
        foreach (Reference source in blob.Sources)
        {
            try
            {
                return new SourceStream(await sources.Open(source).OpenBlobAsync(blob.Descriptor, offset: 0, cancellationToken), blob.Descriptor);
            }
            catch (RegistryException refusal)
            {
                refusals.Add(refusal);
            }
        }

        string reasons = string.Concat(refusals.Select(refusal => $": {refusal.Message}"));
        throw new EngineException(
            ErrorKind.NotFound, $"layer {blob.Descriptor.Digest} is not on this host in the form it is pushed in, and none of its sources has it{reasons}");
    }
}
