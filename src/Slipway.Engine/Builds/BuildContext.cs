namespace Slipway.Engine.Builds;

/// <summary>Where a build reads files from.</summary>
public abstract record BuildContext;

/// <summary>A tar, plain or compressed by gzip, bzip2, xz or zstd. Read once, when the build begins; the caller disposes it.</summary>
public sealed record TarContext(Stream Archive) : BuildContext;

/// <summary>A directory that a client has: files come when they are wanted.</summary>
public sealed record SyncedContext(IClientDirectory Directory) : BuildContext;

/// <summary>A directory of this host, which does not change during the build.</summary>
/// <param name="Path">Absolute.</param>
public sealed record DirectoryContext(string Path) : BuildContext;

/// <summary>A git repository, an archive or a Dockerfile at an address: <c>https://host/x.git#ref:folder</c>, <c>https://host/x.tar.gz</c>.</summary>
public sealed record RemoteContext(string Address) : BuildContext;

/// <summary>An image's files, and for FROM the image itself (<c>docker-image://</c>).</summary>
public sealed record ImageContext(string Reference) : BuildContext;

/// <summary>An image in a directory of the client that is an OCI layout (<c>oci-layout://</c>).</summary>
/// <param name="Store">By which the client knows the directory.</param>
/// <param name="Digest">Of a manifest or an index.</param>
public sealed record LayoutContext(string Store, Oci.Digest Digest) : BuildContext;

/// <summary>A directory on the other side of a session.</summary>
public interface IClientDirectory
{
    /// <summary>Brings what is asked for here; what is here already from an earlier build need not come again.</summary>
    /// <returns>A directory that does not change and is the build's until it is disposed.</returns>
    Task<IBuildDirectory> SyncAsync(DirectoryRequest request, CancellationToken cancellationToken);
}

/// <summary>Which files of a directory are wanted. Paths have slashes and none at their beginning.</summary>
/// <param name="Include">Patterns of which one must match, with all that is below what they match and the directories on the way; empty: everything.</param>
/// <param name="Exclude">The lines of a .dockerignore.</param>
public sealed record DirectoryRequest(IReadOnlyList<string> Include, IReadOnlyList<string> Exclude)
{
    /// <summary>That tells how much has come; none: nobody is told.</summary>
    public Oci.Digest Vertex { get; init; }
}

/// <summary>A directory of this host for the time of a build.</summary>
public interface IBuildDirectory : IAsyncDisposable
{
    /// <summary>Absolute path. Names inside of it are a client's, and are only resolved by descriptors.</summary>
    string Path { get; }
}

/// <summary>Where the Dockerfile is.</summary>
public abstract record DockerfileSource;

/// <summary>The text itself (a file on standard input, one from an address).</summary>
/// <param name="Name">For messages.</param>
public sealed record InlineDockerfile(string Text, string Name = "Dockerfile") : DockerfileSource;

/// <summary>A file of a context.</summary>
/// <param name="Path">Within it.</param>
/// <param name="Context">Null: the build's own. Its <c>.dockerignore</c>, or <c>Path.dockerignore</c> where there is one, holds for the build's context.</param>
public sealed record DockerfileFile(string Path, BuildContext? Context = null) : DockerfileSource;

/// <summary>Values for <c>RUN --mount=type=secret</c>. They are in no layer, no history and no key of the cache.</summary>
public interface ISecretSource
{
    /// <summary>Null: there is none of this id.</summary>
    Task<ReadOnlyMemory<byte>?> GetAsync(string id, CancellationToken cancellationToken);
}

/// <summary>Agents for <c>RUN --mount=type=ssh</c>.</summary>
public interface ISshAgentSource
{
    /// <summary>Whether there is one of this id (<c>default</c>).</summary>
    Task<bool> HasAsync(string id, CancellationToken cancellationToken);

    /// <summary>A connection to the agent, one for each that a step makes to its socket.</summary>
    Task<Stream> ConnectAsync(string id, CancellationToken cancellationToken);
}

/// <summary>The client's credentials for registries.</summary>
public interface IBuildCredentials
{
    /// <param name="host">Of the registry, as in names of images (<c>docker.io</c>). Null: anonymous.</param>
    Task<Registry.Distribution.RegistryCredentials?> ForAsync(string host, CancellationToken cancellationToken);
}
