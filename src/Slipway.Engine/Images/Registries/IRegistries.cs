using Slipway.Api.Images;
using Slipway.Api.Registries;
using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Images.Registries;

/// <summary>What an engine does with registries. Credentials are used for the registry they are given for, and kept nowhere.</summary>
public interface IRegistries
{
    /// <summary><c>docker pull</c>.</summary>
    /// <param name="progress">Called in order, one call at a time; an <see cref="IOException"/> it throws cancels the pull.</param>
    /// <exception cref="EngineException">Before the first progress: the image cannot be had. After it: the pull failed on the way; nothing of it is visible.</exception>
    Task PullAsync(ImagePullRequest pull, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken);

    /// <summary><c>docker push</c>.</summary>
    Task PushAsync(ImagePushRequest push, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken);

    /// <summary><c>docker login</c>.</summary>
    /// <exception cref="EngineException">Unauthorized, in Docker's words.</exception>
    Task<LoginAnswer> LoginAsync(RegistryCredentials credentials, CancellationToken cancellationToken);

    /// <summary>What a name stands for at its registry, without pulling it.</summary>
    Task<DistributionInspect> InspectAsync(string reference, RegistryCredentials? credentials, CancellationToken cancellationToken);

    /// <summary><c>docker search</c>.</summary>
    /// <param name="limit">1 to 100; null for 25.</param>
    /// <param name="filters">is-official, is-automated, stars.</param>
    Task<IReadOnlyList<SearchResult>> SearchAsync(string term, int? limit, Filters filters, CancellationToken cancellationToken);
}

/// <param name="Image">A name, with or without tag and digest.</param>
/// <param name="Tag">A tag or digest, which replaces that of <paramref name="Image"/>; null: that of the name, and all tags where it has none.</param>
/// <param name="Platform"><c>os[/arch[/variant]]</c>, or null for what this host runs best.</param>
public sealed record ImagePullRequest(string Image, string? Tag, string? Platform, RegistryCredentials? Credentials);

/// <param name="Image">A name without digest.</param>
/// <param name="Tag">Null: that of the name, and all tags where it has none.</param>
/// <param name="Platform">The one image of an index to push; null for all that is here.</param>
public sealed record ImagePushRequest(string Image, string? Tag, Platform? Platform, RegistryCredentials? Credentials);
