using System.Security.Cryptography;
using System.Text;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage.Threading;

namespace Slipway.Engine.Builds.Sources;

/// <summary>What a build takes from addresses: contexts, and the files of ADD.</summary>
internal static class RemoteSources
{
    private const long MaximumBytes = 16L << 30;
    private const uint FileMode = 0x180; // 0600

    /// <summary>As Docker tells a repository from an archive (docs.docker.com, "docker build", "Git repositories").</summary>
    public static bool IsRepository(string text)
    {
        string address = text.Split('#')[0];
        return address.StartsWith("git://", StringComparison.Ordinal) || address.StartsWith("git@", StringComparison.Ordinal) || address.StartsWith("github.com/", StringComparison.Ordinal)
            || ((RemoteFile.IsAddress(address) || address.StartsWith("ssh://", StringComparison.Ordinal)) && address.EndsWith(".git", StringComparison.Ordinal));
    }

    /// <summary>A context: an archive, or a Dockerfile alone.</summary>
    /// <exception cref="EngineException">It cannot be had.</exception>
    public static async Task<(SourceTree? Tree, string? Dockerfile)> OpenAsync(string address, SpoolDirectory spools, CancellationToken cancellationToken)
    {
        if (IsRepository(address))
        {
            return (await GitRepository.CloneAsync(address, keepGitDirectory: false, spools, cancellationToken), null);
        }

        if (!RemoteFile.IsAddress(address))
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"remoteURL ({address}) could not be recognized as URL");
        }

        Spool spool = await ContextAsync(address, spools, cancellationToken);
        byte[] head = new byte[512];
        int length = RandomAccess.Read(spool.File, head, 0);
        if (TarReader.IsHeader(head.AsSpan(0, length)) || Decompression.Detect(head.AsSpan(0, Math.Min(length, Decompression.MagicLength))) != CompressionFormat.None)
        {
            return (await WorkerThread.RunAsync("build-context", () => ArchiveTree.Read(spool, spools, cancellationToken)), null);
        }

        using (spool)
        {
            if (RandomAccess.GetLength(spool.File) > BuildContexts.MaximumDockerfile)
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"{address} is no archive, and as a Dockerfile has more than {BuildContexts.MaximumDockerfile} bytes");
            }

            using StreamReader text = new(spool.OpenStream(), Encoding.UTF8);
            return (null, await text.ReadToEndAsync(cancellationToken));
        }
    }

    /// <summary>A file of ADD, as a tree of that one file.</summary>
    /// <param name="checksum">What it must have; null: anything.</param>
    public static async Task<SourceTree> FetchFileAsync(string address, string? checksum, SpoolDirectory spools, CancellationToken cancellationToken)
    {
        (Spool spool, DateTimeOffset? modified) = await FetchAsync(address, spools, cancellationToken);
        try
        {
            if (checksum is not null)
            {
                await RequireAsync(spool, checksum, cancellationToken);
            }

            string path = new Uri(address).AbsolutePath;
            string name = Uri.UnescapeDataString(path[(path.LastIndexOf('/') + 1)..]);
            if (name.Length == 0)
            {
                name = "index.html";
            }

            return new SourceTree(new Download(SourceTree.Text(name.Replace('/', '_')), spool, modified), spool);
        }
        catch
        {
            spool.Dispose();
            throw;
        }
    }

    private static async Task RequireAsync(Spool spool, string checksum, CancellationToken cancellationToken)
    {
        Digest wanted = Digest.TryParse(checksum, out Digest parsed) ? parsed : throw new EngineException(ErrorKind.InvalidParameter, $"invalid checksum: {checksum}");
        await using FileStream content = spool.OpenStream();
        byte[] hash = wanted.Algorithm == Digest.Sha512 ? await SHA512.HashDataAsync(content, cancellationToken) : await SHA256.HashDataAsync(content, cancellationToken);
        if (Digest.FromHash(hash) != wanted)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"digest mismatch {Digest.FromHash(hash)}: {wanted}");
        }
    }

    private static async Task<Spool> ContextAsync(string address, SpoolDirectory spools, CancellationToken cancellationToken)
    {
        try
        {
            return (await FetchAsync(address, spools, cancellationToken)).Spool;
        }
        catch (EngineException error)
        {
            throw new EngineException(error.Kind, $"error downloading remote context {address}: {error.Message}", error);
        }
    }

    private static async Task<(Spool Spool, DateTimeOffset? Modified)> FetchAsync(string address, SpoolDirectory spools, CancellationToken cancellationToken)
    {
        await using RemoteFile file = await RemoteFile.OpenAsync(address, cancellationToken);
        try
        {
            Spool spool = await spools.ReceiveAsync(
                file.Content,
                length => length <= MaximumBytes ? ValueTask.CompletedTask : throw new EngineException(ErrorKind.InvalidParameter, $"{address} has more than {MaximumBytes} bytes"),
                cancellationToken);
            return (spool, file.Modified);
        }
        catch (HttpRequestException error)
        {
            throw new EngineException(ErrorKind.Remote, $"Get \"{address}\": {error.Message}", error);
        }
    }

    private sealed class Download(string name, Spool spool, DateTimeOffset? modified) : SourceNode(null, name)
    {
        public override TarEntry Entry { get; } = new()
        {
            Name = [], Mode = FileMode, Size = RandomAccess.GetLength(spool.File), ModificationTime = new TarTime(modified?.ToUnixTimeSeconds() ?? 0, 0),
        };

        public override SortedDictionary<string, SourceNode> Children { get; } = [];

        public override Stream Open() => new FileRange(spool.File, 0, Entry.Size);
    }
}
