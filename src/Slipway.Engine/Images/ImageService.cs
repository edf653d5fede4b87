using Slipway.Api;
using Slipway.Api.Images;
using Slipway.Engine.Events;
using Slipway.Engine.Telemetry;
using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.Ledger;

namespace Slipway.Engine.Images;

/// <summary>Images over the store: Docker's shapes, texts and events.</summary>
/// <param name="usedBy">The containers that were made from an image; must not call back.</param>
internal sealed partial class ImageService(
    IImageStore store, IDiskLedger ledger, EventLog events, EngineMetrics metrics, TimeProvider time, Func<Digest, IReadOnlyList<ImageUse>> usedBy) : IImages
{
    public IReadOnlyList<ImageSummary> List(bool all, Filters filters, bool sharedSize)
    {
        // Docker hides the intermediate images of builds unless all are asked for; there are none here.
        ImageFilter filter = StorageErrors.Of(() => ImageFilter.Create(filters, store, time));
        SharedSizes? shared = sharedSize ? new SharedSizes(store.All) : null;
        return [.. store.All.Select(filter.Apply).OfType<Image>().Select(image =>
        {
            ImageSummary summary = ImageShapes.Summary(image);
            summary.SharedSize = shared?.Of(image) ?? summary.SharedSize;
            return summary;
        })];
    }

    public ImageInspect Inspect(string reference) => ImageShapes.Inspect(Get(reference));

    public IReadOnlyList<ImageHistoryItem> History(string reference)
    {
        long begin = metrics.Begin();
        IReadOnlyList<ImageHistoryItem> history = ImageShapes.History(Get(reference));
        metrics.Done(ImageAction.History, begin);
        return history;
    }

    public async Task TagAsync(string reference, string repository, string? tag, CancellationToken cancellationToken)
    {
        Reference target = ImageNames.Target(repository, tag) ?? throw new EngineException(ErrorKind.InvalidParameter, "invalid reference format");
        Image image = await StorageErrors.OfAsync(() => store.TagAsync(reference, target, cancellationToken));
        Publish("tag", image, target.Familiar);
    }

    public async Task<IReadOnlyList<ImageDeleteItem>> RemoveAsync(string reference, bool force, bool prune, CancellationToken cancellationToken)
    {
        long begin = metrics.Begin();
        IReadOnlyList<ImageDeleteItem> removed = await RemoveAsync(Get(reference), reference, new RemoveOptions { Force = force, UsedBy = usedBy }, reason: null, cancellationToken);
        metrics.Done(ImageAction.Delete, begin);
        return removed;
    }

    private async Task<IReadOnlyList<ImageDeleteItem>> RemoveAsync(
        Image image, string reference, RemoveOptions options, string? reason, CancellationToken cancellationToken)
    {
        IReadOnlyList<RemovedItem> removed = await StorageErrors.OfAsync(() => store.RemoveAsync(reference, options, cancellationToken));
        foreach (RemovedItem item in removed)
        {
            if (item.Untagged is not null)
            {
                Publish("untag", image, image.Id.ToString());
            }
            else if (item.Deleted == image.Id.ToString())
            {
                Publish("delete", image, image.Id.ToString(), reason);
            }
        }

        return [.. removed.Select(item => new ImageDeleteItem { Untagged = item.Untagged, Deleted = item.Deleted })];
    }

    public async Task LoadAsync(Stream archive, Platform? platform, bool quiet, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken)
    {
        IReadOnlyList<LoadedImage> loaded = await ProgressPump.RunAsync(
            quiet ? null : progress,
            (reports, end) => StorageErrors.OfAsync(() => store.LoadAsync(archive, platform, reports, end)),
            cancellationToken);
        foreach (LoadedImage image in loaded)
        {
            ledger.Touch(image.Image.Id);
            Publish("load", image.Image, image.Image.Id.ToString());
            await progress(new ProgressMessage { Stream = image.Message + "\n" });
        }
    }

    public async Task ImportAsync(ImageImport import, Stream archive, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken)
    {
        ImportOptions options = new()
        {
            Reference = ImageNames.Target(import.Repository, import.Tag),
            Config = ConfigChanges.Apply(new ImageRunConfig(), import.Changes),
            Message = import.Message ?? $"Imported from {import.Source}",
            Platform = import.Platform is { } platform ? StorageErrors.Of(() => Platform.Parse(platform)) : null,
        };
        await using RemoteFile? remote = import.Source == ImageImport.Given ? null : await DownloadAsync(import.Source, progress, cancellationToken);
        Image image = await ProgressPump.RunAsync(
            progress,
            (reports, end) => StorageErrors.OfAsync(() => store.ImportAsync(remote?.Content ?? archive, options, reports, end)),
            cancellationToken);
        if (options.Reference is { } name)
        {
            Publish("tag", image, name.Familiar);
        }

        ledger.Touch(image.Id);
        Publish("import", image, image.Id.ToString());
        await progress(new ProgressMessage { Status = image.Id.ToString() });
    }

    private static async Task<RemoteFile> DownloadAsync(string source, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken)
    {
        string address = source.Contains("://", StringComparison.Ordinal) ? source : $"http://{source}";
        RemoteFile file = await RemoteFile.OpenAsync(address, cancellationToken);
        await progress(new ProgressMessage { Status = $"Downloading from {address}" });
        return file;
    }

    public Task<Func<Stream, CancellationToken, Task>> SaveAsync(IReadOnlyList<string> references, Platform? platform, CancellationToken cancellationToken)
    {
        if (references.Count == 0)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "at least one image must be named");
        }

        Image[] images = [.. references.Select(reference => Get(reference, platform))];
        return Task.FromResult<Func<Stream, CancellationToken, Task>>(async (output, end) =>
        {
            await StorageErrors.OfAsync(async () =>
            {
                await store.SaveAsync(references, platform, output, end);
                return true;
            });
            foreach (Image image in images)
            {
                Publish("save", image, image.Id.ToString());
            }
        });
    }

    private Image Get(string reference, Platform? platform) =>
        Get(reference) is var image && platform is null ? image
        : StorageErrors.Of(() => store.Find(reference, platform!)) ?? throw new EngineException(
            ErrorKind.NotFound, $"image with reference {reference} was found but does not provide the specified platform ({platform})");

    private Image Get(string reference) => StorageErrors.Of(() => store.Get(reference));

    private void Publish(string action, Image image, string name, string? reason = null)
    {
        Dictionary<string, string> attributes = new(image.Config.Config?.Labels ?? new Dictionary<string, string>()) { ["name"] = name };
        if (reason is not null)
        {
            attributes["reason"] = reason;
        }

        events.Publish("image", action, image.Id.ToString(), attributes);
    }
}
