using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Slipway.Build.Solving;
using Slipway.Engine.Builds.Attestations;
using Slipway.Engine.Images.Registries;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Outputs;

/// <summary>Puts what a build made where it is wanted.</summary>
internal sealed class ResultWriter(EngineServices services, IRegistries registries, BuildRequest request, IImageIngest ingest, BuildReport report, Attestor? attestor)
{
    /// <summary>Whether the outputs can have what is asked for, before anything is built.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static void Check(BuildRequest request)
    {
        if ((request.Platforms.Count > 1 || !request.Attestations.IsEmpty) && request.Outputs.OfType<ArchiveOutput>().Any(output => output.Format == ArchiveFormat.Docker))
        {
            throw new EngineException(ErrorKind.InvalidParameter, "docker exporter does not currently support exporting manifest lists");
        }
    }

    /// <param name="built">In the order they were asked for.</param>
    public async Task<BuildResult> WriteAsync(IReadOnlyList<BuiltPlatform> built, CancellationToken cancellationToken)
    {
        // An image of one platform gets a manifest when it is pushed; of several, or with what is told of it, the index is the image.
        bool isIndex = built.Count > 1 || attestor is not null;
        await using AssembledImage? assembled = isIndex && request.Outputs.Any(IsImage) ? await AssembleAsync(built, cancellationToken) : null;
        StageState main = (built.FirstOrDefault(one => one.State.Platform.RunsOn(Platform.Host)) ?? built[0]).State;
        byte[] config = main.Document();
        Digest id = Digest.Of(config);
        BuildResult result = new()
        {
            ImageId = id,
            Config = config,
            Metadata = assembled is null
                ? new Dictionary<string, string> { ["containerimage.digest"] = id.ToString(), ["containerimage.config.digest"] = id.ToString() }
                : new Dictionary<string, string>
                {
                    ["containerimage.digest"] = assembled.Index.Descriptor.Digest.ToString(),
                    ["containerimage.descriptor"] = Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(assembled.Index.Descriptor, OciJson.Default.Descriptor)),
                },
        };
        foreach (BuildOutput output in request.Outputs)
        {
            result = output switch
            {
                ImageOutput image => await ImageAsync(image, assembled, result, cancellationToken),
                ArchiveOutput { Format: ArchiveFormat.Oci } layout when assembled is not null => await LayoutAsync(layout, assembled, result, cancellationToken),
                LayoutOutput layout => await LayoutAsync(layout, built, assembled, result, cancellationToken),
                ArchiveOutput archive => await ArchiveAsync(archive, built, result, cancellationToken),
                FilesOutput files => await FilesAsync(files, built, result, cancellationToken),
                _ => throw new ArgumentOutOfRangeException(nameof(built)),
            };
        }

        return result;
    }

    private static bool IsImage(BuildOutput output) => output is ImageOutput or LayoutOutput or ArchiveOutput { Format: not ArchiveFormat.Tar };

    private Task<AssembledImage> AssembleAsync(IReadOnlyList<BuiltPlatform> built, CancellationToken cancellationToken) => report.InternalAsync("compressing layers", async vertex =>
    {
        DateTimeOffset started = services.Time.GetUtcNow();
        AssembledImage assembled = await AssembledImage.CreateAsync(built, services.Data.Images, attestor, cancellationToken);
        foreach (ImageContent manifest in assembled.Platforms.Select(platform => platform.Manifest))
        {
            await report.DoneAsync(vertex, $"exporting manifest {manifest.Descriptor.Digest}", started);
        }

        foreach (ImageAttestation told in assembled.Platforms.Select(platform => platform.Attestation).OfType<ImageAttestation>())
        {
            await report.DoneAsync(vertex, $"exporting attestation manifest {told.Manifest.Descriptor.Digest}", started);
        }

        await report.DoneAsync(vertex, $"exporting manifest list {assembled.Index.Descriptor.Digest}", started);
        return assembled;
    });

    private async Task<BuildResult> ImageAsync(ImageOutput output, AssembledImage? assembled, BuildResult result, CancellationToken cancellationToken)
    {
        Reference[] names = [.. output.Names.Select(name => name.WithDefaultTag())];
        await report.InternalAsync("exporting to image", async vertex =>
        {
            DateTimeOffset started = services.Time.GetUtcNow();
            await report.DoneAsync(vertex, "exporting layers", started);
            await (assembled is null ? CommitAsync(result, names, cancellationToken) : CommitAsync(assembled, names, cancellationToken));
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

        Tell([result.ImageId], result.ImageId, names);
    }

    /// <summary>An image for each platform, under the same names.</summary>
    private async Task CommitAsync(AssembledImage assembled, IReadOnlyList<Reference> names, CancellationToken cancellationToken)
    {
        foreach (AssembledPlatform platform in assembled.Platforms)
        {
            await ingest.CommitAsync(
                new IngestedImage
                {
                    Config = platform.Config.Content,
                    Manifest = platform.Manifest,
                    Index = assembled.Index,
                    Names = names,
                    Referrers = platform.Attestation is { } told ? [new IngestedReferrer(told.Manifest, [told.Config, .. told.Statements])] : [],
                },
                cancellationToken);
        }

        Digest[] ids = [.. assembled.Platforms.Select(platform => platform.Config.Descriptor.Digest)];
        Tell(ids, assembled.Index.Descriptor.Digest, names);
    }

    private void Tell(IReadOnlyList<Digest> ids, Digest named, IReadOnlyList<Reference> names)
    {
        foreach (Digest id in ids)
        {
            services.Data.Ledger.Touch(id);
        }

        foreach (Reference name in names)
        {
            services.Events.Publish("image", "tag", named.ToString(), new Dictionary<string, string> { ["name"] = name.Familiar });
        }
    }

    private Task<BuildResult> LayoutAsync(ArchiveOutput output, AssembledImage assembled, BuildResult result, CancellationToken cancellationToken) => report.InternalAsync("sending tarball", async _ =>
    {
        await using Stream stream = await output.Open(cancellationToken);
        await LayoutArchive.WriteAsync(
            assembled.Index.Descriptor, [.. output.Names.Select(name => name.WithDefaultTag())], assembled.Documents, assembled.Layers, stream, cancellationToken);
        return result;
    });

    /// <param name="assembled">Null: the one image there is needs no index.</param>
    private async Task<BuildResult> LayoutAsync(LayoutOutput output, IReadOnlyList<BuiltPlatform> built, AssembledImage? assembled, BuildResult result, CancellationToken cancellationToken)
    {
        await using AssembledImage? alone = assembled is null ? await AssembledImage.CreateAsync(built, services.Data.Images, attestor: null, cancellationToken) : null;
        Descriptor image = await report.InternalAsync("exporting to oci image format", async vertex =>
        {
            DateTimeOffset started = services.Time.GetUtcNow();
            IReadOnlyList<ImageContent> documents = alone is { Platforms: [var only] } ? [.. only.Documents] : assembled!.Documents;
            foreach (PublishedBlob layer in (assembled ?? alone!).Layers)
            {
                await WriteAsync(output.Blobs, layer.Descriptor, layer.OpenAsync, cancellationToken);
                await report.DoneAsync(vertex, $"exporting layer {layer.Descriptor.Digest}", started);
            }

            foreach (ImageContent document in documents)
            {
                await WriteAsync(output.Blobs, document.Descriptor, _ => ValueTask.FromResult<Stream>(new MemoryStream(document.Content.ToArray(), writable: false)), cancellationToken);
            }

            await report.DoneAsync(vertex, $"exporting {(assembled is null ? "manifest" : "manifest list")} {documents[^1].Descriptor.Digest}", started);
            return documents[^1].Descriptor;
        });
        Dictionary<string, string> metadata = new(result.Metadata)
        {
            ["containerimage.digest"] = image.Digest.ToString(),
            ["containerimage.descriptor"] = Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(image, OciJson.Default.Descriptor)),
        };
        if (output.Names.Count > 0)
        {
            metadata["image.name"] = string.Join(',', output.Names.Select(name => name.WithDefaultTag().ToString()));
        }

        return result with { Metadata = metadata };
    }

    private static async Task WriteAsync(IBlobStore blobs, Descriptor blob, Func<CancellationToken, ValueTask<Stream>> open, CancellationToken cancellationToken)
    {
        if (!await blobs.HasAsync(blob.Digest, cancellationToken))
        {
            await using Stream content = await open(cancellationToken);
            await blobs.WriteAsync(blob, content, cancellationToken);
        }
    }

    private Task<BuildResult> ArchiveAsync(ArchiveOutput output, IReadOnlyList<BuiltPlatform> built, BuildResult result, CancellationToken cancellationToken) => report.InternalAsync(output.Format == ArchiveFormat.Tar ? "exporting to client tarball" : "sending tarball", async _ =>
    {
        await using Stream stream = await output.Open(cancellationToken);
        if (output.Format == ArchiveFormat.Tar)
        {
            await (built.Count == 1
                ? services.Data.Snapshots.ExportImageAsync(ChainIds(built[0].State), stream, cancellationToken)
                : services.Data.Snapshots.ExportImagesAsync([.. built.Select(one => (Folder(one.Platform), ChainIds(one.State)))], stream, cancellationToken));
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

    private Task<BuildResult> FilesAsync(FilesOutput output, IReadOnlyList<BuiltPlatform> built, BuildResult result, CancellationToken cancellationToken) => report.InternalAsync("exporting to client directory", async _ =>
    {
        foreach (BuiltPlatform one in built)
        {
            using SafeFileHandle root = services.Data.Snapshots.MountImage(ChainIds(one.State));
            await output.Target.WriteAsync(root, built.Count == 1 ? "" : Folder(one.Platform), cancellationToken);
        }

        return result;
    });

    private static IReadOnlyList<Digest> ChainIds(StageState state) => [.. state.Layers.Select(layer => layer.ChainId)];

    /// <summary><c>linux_arm_v7</c>.</summary>
    private static string Folder(Platform platform) => platform.ToString().Replace('/', '_');
}
