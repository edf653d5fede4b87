using Microsoft.Win32.SafeHandles;
using Slipway.Build.Solving;
using Slipway.Engine.Images.Registries;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Outputs;

/// <summary>Puts what a build made where it is wanted.</summary>
internal sealed class ResultWriter(EngineServices services, IRegistries registries, BuildRequest request, IImageIngest ingest, BuildReport report)
{
    public async Task<BuildResult> WriteAsync(StageState state, CancellationToken cancellationToken)
    {
        byte[] config = state.Document();
        BuildResult result = new()
        {
            ImageId = Digest.Of(config),
            Config = config,
            Metadata = new Dictionary<string, string> { ["containerimage.digest"] = Digest.Of(config).ToString(), ["containerimage.config.digest"] = Digest.Of(config).ToString() },
        };
        foreach (BuildOutput output in request.Outputs)
        {
            result = output switch
            {
                ImageOutput image => await ImageAsync(image, result, cancellationToken),
                ArchiveOutput archive => await ArchiveAsync(archive, state, result, cancellationToken),
                FilesOutput files => await FilesAsync(files, state, result, cancellationToken),
                _ => throw new ArgumentOutOfRangeException(nameof(state)),
            };
        }

        return result;
    }

    private async Task<BuildResult> ImageAsync(ImageOutput output, BuildResult result, CancellationToken cancellationToken)
    {
        Reference[] names = [.. output.Names.Select(name => name.WithDefaultTag())];
        await report.InternalAsync("exporting to image", async vertex =>
        {
            DateTimeOffset started = services.Time.GetUtcNow();
            await report.DoneAsync(vertex, "exporting layers", started);
            await CommitAsync(result, names, cancellationToken);
            await report.DoneAsync(vertex, $"writing image {result.ImageId}", started);
            foreach (Reference name in names)
            {
                await report.DoneAsync(vertex, $"naming to {name}", started);
            }

            return true;
        });
        foreach (Reference name in output.Push ? names : [])
        {
            Registry.Distribution.RegistryCredentials? credentials = request.Credentials is null ? null : await request.Credentials.ForAsync(name.Domain, cancellationToken);
            await report.InternalAsync($"pushing {name.Familiar}", async vertex =>
            {
                await registries.PushAsync(
                    new ImagePushRequest(name.Familiar, null, null, credentials),
                    message => report.StatusAsync(new BuildStatus(vertex, message.Id ?? "", message.ProgressDetail?.Current ?? 0, message.ProgressDetail?.Total ?? 0) { Action = message.Status ?? "" }),
                    cancellationToken);
                return true;
            });
        }

        return result with
        {
            Names = [.. result.Names, .. names],
            Metadata = new Dictionary<string, string>(result.Metadata) { ["image.name"] = string.Join(',', names.Select(name => name.ToString())) },
        };
    }

    /// <summary>An image that is there with these names already costs no write.</summary>
    private async Task CommitAsync(BuildResult result, IReadOnlyList<Reference> names, CancellationToken cancellationToken)
    {
        Image? known = services.Data.Images.Find(result.ImageId.ToString());
        if (known is null || !names.All(name => known.RepoTags.Contains(name.Familiar)))
        {
            await ingest.CommitAsync(new IngestedImage { Config = result.Config, Manifest = null, Names = names }, cancellationToken);
        }

        services.Data.Ledger.Touch(result.ImageId);
        foreach (Reference name in names)
        {
            services.Events.Publish("image", "tag", result.ImageId.ToString(), new Dictionary<string, string> { ["name"] = name.Familiar });
        }
    }

    private Task<BuildResult> ArchiveAsync(ArchiveOutput output, StageState state, BuildResult result, CancellationToken cancellationToken) => report.InternalAsync("sending tarball", async _ =>
    {
        await using Stream stream = await output.Open(cancellationToken);
        if (output.Format == ArchiveFormat.Tar)
        {
            await services.Data.Snapshots.ExportImageAsync([.. state.Layers.Select(layer => layer.ChainId)], stream, cancellationToken);
            return result;
        }

        // The archive is one of an image of the store, which it is for that long.
        bool isNew = services.Data.Images.Find(result.ImageId.ToString()) is null;
        Reference[] names = [.. output.Names.Select(name => name.WithDefaultTag())];
        await CommitAsync(result, names, cancellationToken);
        try
        {
            await services.Data.Images.SaveAsync(names.Length == 0 ? [result.ImageId.ToString()] : [.. names.Select(name => name.Familiar)], null, stream, cancellationToken);
        }
        finally
        {
            if (isNew && !request.Outputs.OfType<ImageOutput>().Any())
            {
                await services.Data.Images.RemoveAsync(result.ImageId.ToString(), new RemoveOptions { Force = true, UsedBy = _ => [] }, CancellationToken.None);
            }
        }

        return result;
    });

    private Task<BuildResult> FilesAsync(FilesOutput output, StageState state, BuildResult result, CancellationToken cancellationToken) => report.InternalAsync("copying files", async _ =>
    {
        using SafeFileHandle root = services.Data.Snapshots.MountImage([.. state.Layers.Select(layer => layer.ChainId)]);
        await output.Target.WriteAsync(root, cancellationToken);
        return result;
    });
}
