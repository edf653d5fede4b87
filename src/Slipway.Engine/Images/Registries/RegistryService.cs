using Slipway.Api.Images;
using Slipway.Api.Registries;
using Slipway.Engine.Events;
using Slipway.Engine.Images.Progress;
using Slipway.Engine.Images.Pull;
using Slipway.Engine.Images.Push;
using Slipway.Engine.Telemetry;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Registry.Peers;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images.Registries;

/// <summary>Images on their way from and to registries: Docker's names, texts and events.</summary>
internal sealed class RegistryService(
    IImageStore store, IDistribution distribution, LayerPeers? peers, EventLog events, EngineMetrics metrics, TimeProvider time, EngineOptions options) : IRegistries, IDisposable
{
    private readonly Lazy<ImageIndex> _index = new(() => new ImageIndex(options.Registries.Proxies));

    /// <summary>Replaced as a whole when the configuration is reloaded.</summary>
    public EngineOptions Options { get; set; } = options;

    public async Task PullAsync(ImagePullRequest pull, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken)
    {
        long begin = metrics.Begin();
        Reference name = Name(pull.Image, pull.Tag);
        Platform? platform = PlatformOf(pull.Platform);
        await using IRemoteRepository repository = distribution.Open(name, RegistryAccess.Pull, pull.Credentials);
        await TransferProgress.RunAsync(
            progress,
            time,
            async (told, end) =>
            {
                ImagePull puller = new(store, repository, peers, platform is null ? PlatformPreference.Host : new PlatformPreference(platform), Options.MaxConcurrentDownloads, told);
                Image? image = null;
                bool isNewer = false;
                await foreach (Reference tagged in NamesAsync(repository, name, end))
                {
                    (image, bool changed) = await RegistryErrors.OfAsync(() => puller.RunAsync(tagged, end));
                    isNewer |= changed;
                }

                told.Say($"Status: {(isNewer ? "Downloaded newer image" : "Image is up to date")} for {name.Familiar}");
                Publish("pull", name);
                CheckPlatform(name, image, platform);
                metrics.Done(ImageAction.Pull, begin);
            },
            cancellationToken);
    }

    public async Task PushAsync(ImagePushRequest push, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken)
    {
        long begin = metrics.Begin();
        Reference name = Name(push.Image, push.Tag);
        if (!name.Digest.IsNone)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "cannot push a digest reference");
        }

        await using IRemoteRepository repository = distribution.Open(name, RegistryAccess.Push, push.Credentials);
        await using SourceRepositories sources = new(distribution, name, push.Credentials);
        await TransferProgress.RunAsync(
            progress,
            time,
            async (told, end) =>
            {
                told.Say($"The push refers to repository [{name.Name}]");
                ImagePush pusher = new(store, repository, sources, Options.MaxConcurrentUploads, told);
                foreach (Reference tagged in LocalTags(name))
                {
                    await RegistryErrors.OfAsync(() => pusher.RunAsync(tagged, push.Platform, end));
                }

                Publish("push", name);
                metrics.Done(ImageAction.Push, begin);
            },
            cancellationToken);
    }

    public async Task<LoginAnswer> LoginAsync(RegistryCredentials credentials, CancellationToken cancellationToken)
    {
        try
        {
            string? identityToken = await RegistryErrors.OfAsync(() => distribution.LoginAsync(credentials, cancellationToken));
            return new LoginAnswer { Status = "Login Succeeded", IdentityToken = identityToken ?? "" };
        }
        catch (EngineException error) when (error.Kind == ErrorKind.Forbidden)
        {
            throw new EngineException(ErrorKind.Unauthorized, error.Message, error);
        }
    }

    public async Task<DistributionInspect> InspectAsync(string reference, RegistryCredentials? credentials, CancellationToken cancellationToken)
    {
        Reference name = Name(reference, tag: null).WithDefaultTag();
        await using IRemoteRepository repository = distribution.Open(name, RegistryAccess.Pull, credentials);
        return await RegistryErrors.OfAsync(() => new DistributionInspection(repository).RunAsync(name, cancellationToken));
    }

    public Task<IReadOnlyList<SearchResult>> SearchAsync(string term, int? limit, Filters filters, CancellationToken cancellationToken) =>
        _index.Value.SearchAsync(term, limit, filters, cancellationToken);

    public void Dispose()
    {
        if (_index.IsValueCreated)
        {
            _index.Value.Dispose();
        }
    }

    /// <summary>A tag or digest given beside the name replaces that of the name.</summary>
    private static Reference Name(string image, string? tag) => StorageErrors.Of(() =>
    {
        Reference name = Reference.Parse(image);
        return string.IsNullOrEmpty(tag) ? name
            : tag.Contains(':', StringComparison.Ordinal) ? name.WithDigest(Digest.Parse(tag))
            : name.WithTag(tag);
    });

    private static Platform? PlatformOf(string? text) => string.IsNullOrEmpty(text) ? null : StorageErrors.Of(() => Platform.Parse(text));

    /// <summary>The name, or all tags of the repository where it has neither tag nor digest.</summary>
    private static async IAsyncEnumerable<Reference> NamesAsync(
        IRemoteRepository repository, Reference name, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (!name.IsNameOnly)
        {
            yield return name;
            yield break;
        }

        foreach (string tag in await RegistryErrors.OfAsync(async () => await repository.ListTagsAsync(cancellationToken).ToListAsync(cancellationToken)))
        {
            yield return StorageErrors.Of(() => name.WithTag(tag));
        }
    }

    /// <exception cref="EngineException">NotFound, in Docker's words.</exception>
    private List<Reference> LocalTags(Reference name)
    {
        List<Reference> tags = [.. store.All.SelectMany(image => image.RepoTags).Select(Reference.Parse).Where(tag => tag.Name == name.Name)];
        if (tags.Count == 0)
        {
            throw new EngineException(ErrorKind.NotFound, $"An image does not exist locally with the tag: {name.FamiliarName}");
        }

        return name.Tag is null ? [.. tags.OrderBy(tag => tag.Tag, StringComparer.Ordinal)]
            : tags.Contains(name) ? [name]
            : throw new EngineException(ErrorKind.NotFound, $"tag does not exist: {name.Familiar}");
    }

    /// <summary>A name that stands for one image gives that image, whatever platform was asked for; but it is said.</summary>
    private static void CheckPlatform(Reference name, Image? image, Platform? wanted)
    {
        if (image is not null && wanted is not null && !new PlatformPreference(wanted).Accepts(image.Config.Platform))
        {
            throw new EngineException(
                ErrorKind.NotFound,
                $"image with reference {name.Familiar} was found but its platform ({image.Config.Platform}) does not match the specified platform ({wanted})");
        }
    }

    private void Publish(string action, Reference name)
    {
        Dictionary<string, string> attributes = new(store.Find(name.Familiar)?.Config.Config?.Labels ?? new Dictionary<string, string>()) { ["name"] = name.FamiliarName };
        events.Publish("image", action, name.Familiar, attributes);
    }
}
