using System.Collections.Concurrent;
using System.Text;
using Slipway.Build.Context;
using Slipway.Engine.Containers;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage.Images;
using Slipway.Storage.Threading;

namespace Slipway.Engine.Builds.Sources;

/// <summary>The contexts of a build, each opened once, when it is wanted first.</summary>
internal sealed class BuildContexts(EngineServices services, BuildRequest request, BuildReport report) : IAsyncDisposable
{
    /// <summary>Bytes of a Dockerfile, or of a list of what is ignored.</summary>
    public const int MaximumDockerfile = 64 << 20;

    private const string IgnoreName = ".dockerignore";
    private const string LoadIgnored = "[internal] load .dockerignore";

    private readonly ConcurrentDictionary<string, Lazy<Task<SourceTree>>> _open = new(StringComparer.Ordinal);
    private readonly ConcurrentBag<IAsyncDisposable> _directories = [];
    private readonly SpoolDirectory _spools = new(services.Options.DataRoot);
    private IgnoreFile _ignored = IgnoreFile.Empty;
    private IReadOnlyList<string> _ignoredLines = [];
    private string? _inlineDockerfile;

    /// <summary>What the context leaves out, once the Dockerfile was read.</summary>
    public IgnoreFile Ignored => _ignored;

    /// <summary>The Dockerfile, and its name for messages; finds what the context leaves out.</summary>
    /// <exception cref="EngineException">There is none.</exception>
    public async Task<(string Text, string Name)> DockerfileAsync(CancellationToken cancellationToken)
    {
        switch (request.Dockerfile)
        {
            case InlineDockerfile inline:
                if (request.Context is TarContext)
                {
                    ReadIgnored(await OpenAsync(null, cancellationToken), "Dockerfile");
                }
                else if (request.Context is { } other)
                {
                    await using Opened files = await SmallFilesAsync(LoadIgnored, other, [IgnoreName], cancellationToken);
                    ReadIgnored(files.Tree, "Dockerfile");
                }

                return (inline.Text, inline.Name);
            case DockerfileFile file:
                BuildContext from = file.Context ?? request.Context ?? throw new EngineException(ErrorKind.InvalidParameter, "the build has no context to read the Dockerfile from");
                string path = file.Path.Length == 0 ? "Dockerfile" : file.Path;
                await using (Opened files = await SmallFilesAsync($"[internal] load build definition from {path}", from, [path, path + IgnoreName, IgnoreName], cancellationToken))
                {
                    if (_inlineDockerfile is { } text)
                    {
                        return (text, path);
                    }

                    byte[] content = Read(files.Tree, path) ?? throw Missing(path);
                    await ReadIgnoredAsync(files.Tree, path, file.Context is null, cancellationToken);
                    return (Encoding.UTF8.GetString(content), path);
                }

            default:
                throw new ArgumentOutOfRangeException(nameof(cancellationToken));
        }
    }

    /// <param name="name">Null: the build's own.</param>
    public Task<SourceTree> OpenAsync(string? name, CancellationToken cancellationToken) =>
        _open.GetOrAdd(name ?? "", key => new Lazy<Task<SourceTree>>(() => OpenContextAsync(key, cancellationToken))).Value;

    public async ValueTask DisposeAsync()
    {
        foreach (Lazy<Task<SourceTree>> tree in _open.Values.Where(tree => tree.IsValueCreated))
        {
            await ((Task)tree.Value).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (tree.Value.IsCompletedSuccessfully)
            {
                (await tree.Value).Dispose();
            }
        }

        foreach (IAsyncDisposable directory in _directories)
        {
            await directory.DisposeAsync();
        }
    }

    private EngineException Missing(string path) => new(ErrorKind.InvalidParameter, request.Style == BuildStyle.Classic
        ? $"Cannot locate specified Dockerfile: {path}"
        : $"failed to read dockerfile: open {path}: no such file or directory");

    private async Task<SourceTree> OpenContextAsync(string name, CancellationToken cancellationToken)
    {
        BuildContext? context = name.Length == 0 ? request.Context : request.NamedContexts.GetValueOrDefault(name);
        switch (context)
        {
            case null:
                return ArchiveTree.Read(_spools.Create(), _spools, cancellationToken);
            case TarContext tar:
                Spool spool = await report.ReceivedAsync(told => _spools.ReceiveAsync(tar.Archive, told, cancellationToken));
                return await WorkerThread.RunAsync("build-context", () => ArchiveTree.Read(spool, _spools, cancellationToken));
            case DirectoryContext directory:
                return DirectoryTree.Open(new HostPath(directory.Path).Open(OpenFlags.Path | OpenFlags.Directory), name.Length == 0 ? _ignored : null, keepsOwners: false);
            case SyncedContext synced:
                return await OpenSyncedAsync(synced, name, cancellationToken);
            case RemoteContext remote:
                (SourceTree? tree, _inlineDockerfile) = await RemoteSources.OpenAsync(remote.Address, _spools, cancellationToken);
                return tree ?? ArchiveTree.Read(_spools.Create(), _spools, cancellationToken);
            case ImageContext image:
                Image found = services.Data.Images.Get(image.Reference);
                return DirectoryTree.Open(services.Data.Snapshots.MountImage(found.ChainIds));
            default:
                throw new ArgumentOutOfRangeException(nameof(name));
        }
    }

    private async Task<SourceTree> OpenSyncedAsync(SyncedContext context, string name, CancellationToken cancellationToken)
    {
        (IgnoreFile ignored, IReadOnlyList<string> lines) = (_ignored, _ignoredLines);
        if (name.Length > 0)
        {
            await using Opened files = await SmallFilesAsync($"[context {name}] load .dockerignore", context, [IgnoreName], cancellationToken);
            (ignored, lines) = Read(files.Tree, IgnoreName) is { } content ? Parse(content) : (IgnoreFile.Empty, []);
        }

        IBuildDirectory copy = await report.InternalAsync(
            name.Length == 0 ? "[internal] load build context" : $"[context {name}] load from client",
            vertex => context.Directory.SyncAsync(new DirectoryRequest([], lines) { Vertex = vertex }, cancellationToken));
        _directories.Add(copy);
        return DirectoryTree.Open(new HostPath(copy.Path).Open(OpenFlags.Path | OpenFlags.Directory), ignored, keepsOwners: false);
    }

    /// <summary>A context for a few files of it: one that is sent as a whole is opened as a whole.</summary>
    /// <param name="purpose">The vertex of files that a client sends.</param>
    private async Task<Opened> SmallFilesAsync(string purpose, BuildContext context, IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        switch (context)
        {
            case SyncedContext synced:
                IBuildDirectory directory = await report.InternalAsync(
                    purpose, vertex => synced.Directory.SyncAsync(new DirectoryRequest(paths, []) { Vertex = vertex }, cancellationToken));
                return new Opened(DirectoryTree.Open(new HostPath(directory.Path).Open(OpenFlags.Path | OpenFlags.Directory)), directory, IsOwned: true);
            case DirectoryContext host:
                return new Opened(DirectoryTree.Open(new HostPath(host.Path).Open(OpenFlags.Path | OpenFlags.Directory)), null, IsOwned: true);
            default:
                return new Opened(
                    ReferenceEquals(context, request.Context) ? await OpenAsync(null, cancellationToken)
                        : await OpenAsync(request.NamedContexts.First(named => ReferenceEquals(named.Value, context)).Key, cancellationToken),
                    null,
                    IsOwned: false);
        }
    }

    /// <summary>What the Dockerfile's own list of ignored files says, or else that of the context.</summary>
    /// <param name="files">Where the Dockerfile is.</param>
    /// <param name="isContext">That is the context.</param>
    private async Task ReadIgnoredAsync(SourceTree files, string dockerfile, bool isContext, CancellationToken cancellationToken)
    {
        if (isContext || request.Context is null || Read(files, dockerfile + IgnoreName) is not null)
        {
            ReadIgnored(files, dockerfile);
            return;
        }

        await using Opened context = await SmallFilesAsync(LoadIgnored, request.Context, [IgnoreName], cancellationToken);
        ReadIgnored(context.Tree, dockerfile);
    }

    /// <summary>Which files are no part of the context. Of a tar that a client sent all others are: the client has left out what is to be left out.</summary>
    private void ReadIgnored(SourceTree tree, string dockerfile)
    {
        byte[]? content = Read(tree, dockerfile + IgnoreName) ?? Read(tree, IgnoreName);
        if (content is null)
        {
            return;
        }

        (_ignored, _ignoredLines) = Parse(content);
        if (request.Context is TarContext)
        {
            foreach (string path in (ReadOnlySpan<string>)[IgnoreName, dockerfile])
            {
                if (_ignored.Ignores(path) && tree.Find(SourceTree.Text(path)) is { Parent: { } parent } node)
                {
                    parent.Children.Remove(node.Name);
                }
            }
        }
    }

    private static (IgnoreFile Ignored, IReadOnlyList<string> Lines) Parse(byte[] content)
    {
        string text = Encoding.UTF8.GetString(content);
        try
        {
            return (IgnoreFile.Parse(text), [.. text.Split('\n').Select(line => line.TrimEnd('\r'))]);
        }
        catch (FormatException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"Error reading {IgnoreName}: {error.Message}", error);
        }
    }

    private static byte[]? Read(SourceTree tree, string path)
    {
        if (tree.Find(SourceTree.Text(path)) is not { IsDirectory: false } node || node.Entry.Type != Oci.Tar.TarEntryType.Regular)
        {
            return null;
        }

        if (node.Entry.Size > MaximumDockerfile)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"{path} has more than {MaximumDockerfile} bytes");
        }

        using Stream content = node.Open();
        byte[] bytes = new byte[node.Entry.Size];
        content.ReadExactly(bytes);
        return bytes;
    }

    private sealed record Opened(SourceTree Tree, IAsyncDisposable? Directory, bool IsOwned) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            if (IsOwned)
            {
                Tree.Dispose();
            }

            await (Directory?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
    }
}
