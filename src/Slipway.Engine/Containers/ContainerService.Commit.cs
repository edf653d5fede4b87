using System.Globalization;
using System.Text.Json;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Commit;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Images;
using Slipway.Engine.Telemetry;
using Slipway.Oci;
using Slipway.Storage;
using Slipway.Storage.Changes;
using Slipway.Storage.Images;

namespace Slipway.Engine.Containers;

/// <summary>What a container wrote, read back: diff, export, commit.</summary>
internal sealed partial class ContainerService
{
    public async Task<IReadOnlyList<FilesystemChange>> ChangesAsync(string reference, CancellationToken cancellationToken)
    {
        long begin = _services.Metrics.Begin();
        ContainerSnapshot container = _index.Resolve(reference).Snapshot;
        IReadOnlyList<FileChange> changes = await TranslateAsync(_services.Data.Snapshots.ChangesAsync(LayersOf(container), container.Id, cancellationToken));
        _services.Metrics.Done(ContainerAction.Changes, begin);
        return [.. changes.Select(change => new FilesystemChange(change.Path, (int)change.Kind))];
    }

    public Func<Stream, CancellationToken, Task> Export(string reference)
    {
        Container container = _index.Resolve(reference);
        RequireWhole(container, "export");
        IReadOnlyList<Digest> layers = LayersOf(container.Snapshot);
        return async (output, cancellationToken) =>
        {
            await TranslateAsync(ExportAsync(layers, container.Id, output, cancellationToken));

            // What was read while it was being removed is no root file system: the answer must not look whole.
            RequireWhole(container, "export");
            _events.Publish(container.Snapshot, "export");
        };
    }

    public async Task<string> CommitAsync(ContainerCommit commit, CancellationToken cancellationToken)
    {
        long begin = _services.Metrics.Begin();
        Container container = _index.Resolve(commit.Container);
        RequireWhole(container, "commit");
        Reference? name = ImageNames.Target(commit.Repository, commit.Tag);
        ContainerSnapshot snapshot = container.Snapshot;
        ContainerConfig config = StorageErrors.Of(() => ImageConfigOf(commit, snapshot));
        Image parent = FindImage(snapshot.ImageId, platform: null);
        EnginePause? paused = commit.Pause ? await TryPauseForCommitAsync(container, cancellationToken) : null;
        try
        {
            Image image = await StorageErrors.OfAsync(() => CommitLayerAsync(commit, container, config, parent, name, cancellationToken));
            _services.Data.Ledger.Touch(image.Id);
            if (name is not null)
            {
                _services.Events.Publish("image", "tag", image.Id.ToString(), new Dictionary<string, string>(config.Labels ?? []) { ["name"] = name.Familiar });
            }

            _events.Publish(container.Snapshot, "commit", ("comment", commit.Comment ?? ""), ("imageID", image.Id.ToString()), ("imageRef", name?.Familiar ?? ""));
            _services.Metrics.Done(ContainerAction.Commit, begin);
            return image.Id.ToString();
        }
        finally
        {
            if (paused is not null)
            {
                await EndPauseForCommitAsync(container, paused);
            }
        }
    }

    private async Task<bool> ExportAsync(IReadOnlyList<Digest> layers, string id, Stream output, CancellationToken cancellationToken)
    {
        await _services.Data.Snapshots.ExportAsync(layers, id, output, cancellationToken);
        return true;
    }

    private async Task<Image> CommitLayerAsync(
        ContainerCommit commit, Container container, ContainerConfig config, Image parent, Reference? name, CancellationToken cancellationToken)
    {
        await using IImageIngest ingest = _services.Data.Images.BeginIngest();
        foreach (Digest chainId in parent.ChainIds)
        {
            if (!ingest.TryHold(chainId))
            {
                throw new StorageException(StorageErrorKind.NotFound, $"No such image: {parent.Id}");
            }
        }

        Digest top = parent.Layers.Count > 0 ? parent.Layers[^1].ChainId : default;
        Layer? layer = await _services.Data.Snapshots.ReadLayerAsync(
            parent.ChainIds,
            container.Id,
            newest: null,
            async tar => tar is null ? null : await ingest.AddTarAsync(top, tar, cancellationToken),
            cancellationToken);

        // Read while it was being removed, the layer may lack files.
        RequireWhole(container, "commit");
        ImageConfig document = Document(commit, container.Snapshot, RunConfigs.Of(config), parent.Config, layer);
        return await ingest.CommitAsync(
            new IngestedImage { Config = JsonSerializer.SerializeToUtf8Bytes(document, OciJson.Default.ImageConfig), Manifest = null, Names = name is null ? [] : [name] },
            cancellationToken);
    }

    /// <summary>The configuration asked for with the instructions applied; what it leaves out comes from the container.</summary>
    private static ContainerConfig ImageConfigOf(ContainerCommit commit, ContainerSnapshot container)
    {
        ImageRunConfig changed = ConfigChanges.Apply(RunConfigs.Of(commit.Config ?? container.Config), commit.Changes);
        return ImageDefaults.Merge(ImageShapes.Config(changed), RunConfigs.Of(container.Config));
    }

    private ImageConfig Document(ContainerCommit commit, ContainerSnapshot container, ImageRunConfig config, ImageConfig parent, Layer? layer)
    {
        string created = Now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture);
        ImageHistory step = new()
        {
            Created = created,
            Author = string.IsNullOrEmpty(commit.Author) ? null : commit.Author,
            CreatedBy = string.Join(' ', container.Config.Cmd ?? []),
            Comment = string.IsNullOrEmpty(commit.Comment) ? null : commit.Comment,
            EmptyLayer = layer is null,
        };
        return new ImageConfig
        {
            Architecture = parent.Architecture,
            Variant = parent.Variant,
            Os = parent.Os,
            OsVersion = parent.OsVersion,
            OsFeatures = parent.OsFeatures,
            Author = commit.Author ?? "",
            Config = config,
            Created = created,
            DockerVersion = "",
            History = [.. parent.History ?? [], step],
            RootFs = new RootFilesystem { DiffIds = layer is null ? parent.DiffIds : [.. parent.DiffIds, layer.DiffId] },
        };
    }

    private IReadOnlyList<Digest> LayersOf(ContainerSnapshot container) => FindImage(container.ImageId, platform: null).ChainIds;

    /// <param name="verb">What was asked for.</param>
    /// <exception cref="EngineException">Conflict: the container is, or was meanwhile, removed.</exception>
    private void RequireWhole(Container container, string verb)
    {
        ContainerPhase phase = container.Snapshot.State.Phase;
        if (phase == ContainerPhase.Dead)
        {
            throw new EngineException(ErrorKind.Conflict, $"You cannot {verb} container {container.Id} which is Dead");
        }

        if (phase == ContainerPhase.Removing || _index.Find(container.Id) is null)
        {
            throw new EngineException(ErrorKind.Conflict, $"You cannot {verb} container {container.Id} which is being removed");
        }
    }
}
