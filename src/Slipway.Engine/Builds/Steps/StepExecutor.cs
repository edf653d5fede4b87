using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Build.Context;
using Slipway.Build.Solving;
using Slipway.Build.Syntax;
using Slipway.Engine.Builds.Attestations;
using Slipway.Engine.Builds.Sources;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Images.Registries;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Registry.Distribution;
using Slipway.Storage.Images;
using Slipway.Storage.Threading;

namespace Slipway.Engine.Builds.Steps;

/// <summary>Does the steps of one build with what the engine has: its store, its registries, its launcher.</summary>
internal sealed class StepExecutor(
    EngineServices services,
    ContainerLauncher launcher,
    StepProcesses processes,
    IRegistries registries,
    BuildRequest request,
    BuildContexts contexts,
    IImageIngest ingest,
    BuildReport report,
    DebugShells? shells) : IStepExecutor, IMountSources
{
    private readonly SpoolDirectory _spools = new(services.Options.DataRoot);
    private readonly ConcurrentBag<BuildMaterial> _materials = [];
    private readonly ConcurrentDictionary<string, Lazy<Task<BaseImage>>> _images = new(StringComparer.Ordinal);

    /// <summary>Images that steps were made from, by name and platform.</summary>
    public IReadOnlyList<BuildMaterial> Materials => [.. _materials.Distinct().OrderBy(material => material.Name, StringComparer.Ordinal).ThenBy(material => material.Platform.ToString(), StringComparer.Ordinal)];

    public bool TryHold(Digest chainId) => ingest.TryHold(chainId);

    public Task<BaseImage> ResolveAsync(string name, Platform platform, StepVertex vertex, CancellationToken cancellationToken) =>
        _images.GetOrAdd($"{name} {platform}", _ => new Lazy<Task<BaseImage>>(() => ResolveOnceAsync(name, platform, vertex, cancellationToken))).Value;

    public async Task<StepInputs> PrepareAsync(StepOperation operation, StepVertex vertex, CancellationToken cancellationToken)
    {
        switch (operation)
        {
            case TransferOperation transfer:
                TransferSources sources = new(services, contexts, _spools, request.Style);
                return await sources.OpenAsync(transfer, cancellationToken);
            case RunOperation run:
                using (KeyBuilder key = new("mounts"))
                {
                    foreach (StepMount mount in run.Mounts.Where(mount => mount.Source is not null))
                    {
                        key.Add(await ContentAsync(mount, cancellationToken));
                    }

                    return new RunInputs { Content = key.Finish(), OpenAsync = end => new RunMounts(services, request).OpenAsync(run, this, end) };
                }

            default:
                return new TransferInputs { Items = [], Excludes = IgnoreFile.Empty, KeepsOwners = false };
        }
    }

    public async Task<BuiltLayer?> ExecuteAsync(StepOperation operation, StepInputs inputs, StepVertex vertex, CancellationToken cancellationToken) => (operation, inputs) switch
    {
        (RunOperation run, RunInputs given) => await RunAsync(run, given, vertex, cancellationToken),
        (TransferOperation transfer, TransferInputs given) => await TransferAsync(transfer, given, cancellationToken),
        (DirectoryOperation directory, _) => await MakeDirectoryAsync(directory, cancellationToken),
        _ => throw new ArgumentOutOfRangeException(nameof(operation)),
    };

    public async Task PauseAsync(RunOperation operation, StepVertex vertex, CancellationToken cancellationToken)
    {
        // Of its own: what is changed in it must not get into the step, which is found by its key again.
        string id = Identifiers.New();
        await using StepInputs inputs = await PrepareAsync(operation, vertex, cancellationToken);
        try
        {
            await shells!.OpenAsync(Step(id, vertex), operation, (RunInputs)inputs, vertex, error: null, cancellationToken);
        }
        finally
        {
            await services.Data.Snapshots.RemoveAsync(id);
        }
    }

    private async Task<BaseImage> ResolveOnceAsync(string name, Platform platform, StepVertex vertex, CancellationToken cancellationToken)
    {
        if (request.NamedContexts.TryGetValue(name, out BuildContext? context))
        {
            if (context is LayoutContext layout)
            {
                return await LayoutImage.ReadAsync(layout, request.Stores, platform, ingest, cancellationToken);
            }

            if (context is not ImageContext named)
            {
                SourceTree tree = await contexts.OpenAsync(name, cancellationToken);
                BuiltLayer layer = await MaterializeAsync(tree.Root, cancellationToken);
                return new BaseImage(layer.ChainId, null, [layer]);
            }

            name = named.Reference;
        }

        if (request.Style != BuildStyle.Classic)
        {
            await report.InternalAsync($"[internal] load metadata for {Parse(name).WithDefaultTag()}", _ => Task.FromResult(true));
        }

        bool isDefault = platform.RunsOn(Platform.Host);
        Image? image = request.Pull ? null : services.Data.Images.Find(name, platform) ?? (isDefault && request.Platforms.Count == 0 ? services.Data.Images.Find(name) : null);
        if (image is null)
        {
            await PullAsync(name, isDefault && request.Platforms.Count == 0 ? null : platform.ToString(), vertex, cancellationToken);
            image = services.Data.Images.Find(name, platform) ?? services.Data.Images.Get(name);
        }

        foreach (Digest chainId in image.ChainIds)
        {
            if (!ingest.TryHold(chainId))
            {
                throw new EngineException(ErrorKind.NotFound, $"No such image: {name}");
            }
        }

        services.Data.Ledger.Touch(image.Id);
        _materials.Add(new BuildMaterial(name, platform, image.ManifestDigest.IsNone ? image.Id : image.ManifestDigest));
        return new BaseImage(image.Id, image.Config, [.. image.Layers.Select(layer => new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size))]);
    }

    private async Task PullAsync(string name, string? platform, StepVertex vertex, CancellationToken cancellationToken)
    {
        Reference reference = Parse(name);
        RegistryCredentials? credentials = request.Credentials is null ? null : await request.Credentials.ForAsync(reference.Domain, cancellationToken);
        try
        {
            await registries.PullAsync(
                new ImagePullRequest(name, reference.Tag is null && reference.Digest.IsNone ? "latest" : null, platform, credentials),
                message => report.StatusAsync(new BuildStatus(vertex.Digest, message.Id ?? "", message.ProgressDetail?.Current ?? 0, message.ProgressDetail?.Total ?? 0)
                {
                    Action = message.Status ?? "", Time = services.Time.GetUtcNow(),
                }),
                cancellationToken);
        }
        catch (EngineException error) when (request.Style != BuildStyle.Classic)
        {
            throw new EngineException(error.Kind, $"{name}: failed to resolve source metadata for {reference.WithDefaultTag()}: {error.Message}", error);
        }
    }

    private static Reference Parse(string name)
    {
        try
        {
            return Reference.Parse(name);
        }
        catch (OciException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"failed to parse stage name \"{name}\": {error.Message}", error);
        }
    }

    private async Task<BuiltLayer?> RunAsync(RunOperation run, RunInputs inputs, StepVertex vertex, CancellationToken cancellationToken)
    {
        string id = Identifiers.New();
        await report.RunsInAsync(vertex, id);
        Digest[] chainIds = [.. run.Rootfs.Select(layer => layer.ChainId)];
        try
        {
            try
            {
                OpenedMounts mounts = await inputs.OpenAsync(cancellationToken);
                await using (mounts)
                {
                    await RunProgramAsync(Step(id, vertex), run, mounts, cancellationToken);
                    RemoveMountPoints(chainIds, id, mounts.Targets);
                }
            }
            catch (Exception error) when (shells is not null && error is StepFailedException or EngineException && !cancellationToken.IsCancellationRequested)
            {
                // The mounts are given back by now: a cache that is locked is taken once more.
                await shells.OpenAsync(Step(id, vertex), run, inputs, vertex, error.Message, cancellationToken);
                throw;
            }

            Layer? layer = await services.Data.Snapshots.ReadLayerAsync(
                chainIds, id, run.Newest, async tar => tar is null ? null : await ingest.AddTarAsync(run.Top, tar, cancellationToken), cancellationToken);
            return layer is null ? await UnchangedAsync(run, cancellationToken) : new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size);
        }
        finally
        {
            await services.Data.Snapshots.RemoveAsync(id);
        }
    }

    /// <summary>What a step leaves that changed nothing: with BuildKit an empty layer, so that images have the layers that their Dockerfile lets expect.</summary>
    private async Task<BuiltLayer?> UnchangedAsync(StepOperation operation, CancellationToken cancellationToken)
    {
        if (request.Style == BuildStyle.Classic)
        {
            return null;
        }

        Layer layer = await ingest.AddTarAsync(operation.Top, (output, _) => new TarWriter(output).Finish(), cancellationToken);
        return new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size);
    }

    private RunStep Step(string id, StepVertex vertex) => new(services, launcher, processes, request, id, (stream, data) => report.LogAsync(vertex, stream, data));

    private async Task RunProgramAsync(RunStep step, RunOperation run, OpenedMounts mounts, CancellationToken cancellationToken)
    {
        int exitCode = await step.RunAsync(run, mounts, cancellationToken);
        if (exitCode != 0)
        {
            throw new StepFailedException(
                request.Style == BuildStyle.Classic
                    ? $"The command '{string.Join(' ', run.Arguments)}' returned a non-zero code: {exitCode}"
                    : StepFailedException.Describe(run, string.Create(CultureInfo.InvariantCulture, $"exit code: {exitCode}")),
                exitCode);
        }
    }

    /// <summary>What is only there because something was mounted on it; links of the image lead to where it really is.</summary>
    private void RemoveMountPoints(Digest[] chainIds, string id, List<string> targets)
    {
        if (targets.Count > 0)
        {
            using SourceTree rootfs = DirectoryTree.Open(services.Data.Snapshots.MountImage(chainIds));
            services.Data.Snapshots.RemoveMountPoints(chainIds, id, [.. targets.Select(target => SourceTree.Display(rootfs.Resolve(SourceTree.Text(target)).Path))]);
        }
    }

    private async Task<BuiltLayer?> TransferAsync(TransferOperation transfer, TransferInputs inputs, CancellationToken cancellationToken)
    {
        using SafeFileHandle root = MountImage(transfer.Rootfs);
        (uint, uint)? owner = transfer.Owner is null ? null : TransferOwner.Of(root, transfer.Owner, request.Style);
        using SourceTree? rootfs = transfer.Link ? null : DirectoryTree.Open(Descriptors.Duplicate(root));
        try
        {
            Layer layer = await ingest.AddTarAsync(
                transfer.Top, (output, end) => new TransferWriter(transfer, inputs, rootfs, owner, output, end).Write(), cancellationToken);
            return new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size);
        }
        catch (EngineException error) when (request.Style == BuildStyle.Classic)
        {
            throw new EngineException(error.Kind, $"failed to copy files: {error.Message}", error);
        }
    }

    private async Task<BuiltLayer?> MakeDirectoryAsync(DirectoryOperation directory, CancellationToken cancellationToken)
    {
        using SafeFileHandle root = MountImage(directory.Rootfs);
        using SourceTree rootfs = DirectoryTree.Open(Descriptors.Duplicate(root));
        if (rootfs.Resolve(SourceTree.Text(directory.Path)).Node is { } there)
        {
            return !there.IsDirectory ? throw new EngineException(ErrorKind.InvalidParameter, $"Cannot mkdir: {directory.Path} is not a directory")
                : directory.Path == "/" ? null
                : await UnchangedAsync(directory, cancellationToken);
        }

        TransferOperation made = new()
        {
            Rootfs = directory.Rootfs, Description = directory.Description, Time = directory.Time, Source = new ContextSource(null), Paths = [], Destination = directory.Path + "/",
        };
        TransferInputs nothing = new() { Items = [], Excludes = IgnoreFile.Empty, KeepsOwners = false };
        (uint, uint)? owner = directory.Owner is null ? null : TransferOwner.Of(root, directory.Owner, request.Style);
        Layer layer = await ingest.AddTarAsync(
            directory.Top, (output, end) => new TransferWriter(made, nothing, rootfs, owner, output, end).WriteDirectory(), cancellationToken);
        return new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size);
    }

    private SafeFileHandle MountImage(IReadOnlyList<BuiltLayer> layers) => services.Data.Snapshots.MountImage([.. layers.Select(layer => layer.ChainId)]);

    public async Task<Digest> ContentAsync(StepMount mount, CancellationToken cancellationToken)
    {
        if (mount.Source is LayersSource layers)
        {
            return layers.Layers.Count == 0 ? default : layers.Layers[^1].ChainId;
        }

        SourceNode node = await FindAsync(mount, cancellationToken);
        return await WorkerThread.RunAsync("build-hash", () => TransferInputs.ContentOf([new TransferItem(node, node.Name, "")], IgnoreFile.Empty, keepsOwners: true, cancellationToken));
    }

    async Task<SafeFileHandle> IMountSources.OpenAsync(OpenedMounts opened, StepMount mount, CancellationToken cancellationToken)
    {
        IReadOnlyList<BuiltLayer> shown;
        string part = (mount.Mount.Source ?? "").Trim('/');
        if (mount.Source is LayersSource layers)
        {
            shown = layers.Layers;
        }
        else
        {
            SourceNode node = await FindAsync(mount, cancellationToken);
            shown = [await MaterializeAsync(node, cancellationToken)];
            part = node.IsDirectory ? "" : SourceTree.Display(node.Name);
        }

        Digest[] chainIds = [.. shown.Select(layer => layer.ChainId)];
        SafeFileHandle tree;
        if (mount.Mount.ReadOnly ?? true)
        {
            tree = services.Data.Snapshots.MountImage(chainIds);
        }
        else
        {
            // What is written to it goes into a layer of its own, which nobody keeps.
            string id = Identifiers.New();
            opened.Releases.Add(async () => await services.Data.Snapshots.RemoveAsync(id));
            tree = services.Data.Snapshots.MountRootfs(chainIds, id, readOnly: false);
        }

        if (part is "" or ".")
        {
            return tree;
        }

        using (tree)
        {
            try
            {
                return MountPart.Take(tree, part);
            }
            catch (KernelException error) when (error.Errno is Errno.ENOENT or Errno.ENOTDIR or Errno.EXDEV)
            {
                string reason = error.Errno == Errno.EXDEV ? "a link leads out of what is mounted" : "not found";
                throw new EngineException(ErrorKind.InvalidParameter, $"failed to compute cache key: \"/{part}\": {reason}", error);
            }
        }
    }

    private async Task<SourceNode> FindAsync(StepMount mount, CancellationToken cancellationToken)
    {
        SourceTree tree = await contexts.OpenAsync((mount.Source as ContextSource)?.Name, cancellationToken);
        return tree.Find(SourceTree.Text(mount.Mount.Source ?? "")) ?? throw new EngineException(ErrorKind.InvalidParameter, $"failed to compute cache key: \"{mount.Mount.Source}\": not found");
    }

    /// <summary>Files of a context as a layer, for what can only be mounted.</summary>
    private async Task<BuiltLayer> MaterializeAsync(SourceNode node, CancellationToken cancellationToken)
    {
        TransferOperation all = new() { Rootfs = [], Description = "context", Time = services.Time.GetUtcNow(), Source = new ContextSource(null), Paths = [], Destination = "/", Link = true };
        TransferInputs inputs = new() { Items = [new TransferItem(node, node.Name, "")], Excludes = IgnoreFile.Empty, KeepsOwners = true };
        Layer layer = await ingest.AddTarAsync(default, (output, end) => new TransferWriter(all, inputs, null, owner: null, output, end).Write(), cancellationToken);
        return new BuiltLayer(layer.ChainId, layer.DiffId, layer.Size);
    }
}
