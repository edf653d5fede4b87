using Slipway.Build.Context;
using Slipway.Build.Solving;
using Slipway.Engine.Builds.Sources;
using Slipway.Kernel.Compression;
using Slipway.Oci;
using Slipway.Oci.Tar;
using Slipway.Storage.Threading;

namespace Slipway.Engine.Builds.Steps;

/// <summary>Finds what COPY and ADD name: files of a context, of a stage or an image, addresses, repositories.</summary>
internal sealed class TransferSources(EngineServices services, BuildContexts contexts, SpoolDirectory spools, BuildStyle style)
{
    private const int BlockSize = 512;

    /// <exception cref="EngineException">There is no such file.</exception>
    public async Task<TransferInputs> OpenAsync(TransferOperation transfer, CancellationToken cancellationToken)
    {
        List<IDisposable> owned = [];
        try
        {
            IgnoreFile excludes = Excludes(transfer);
            List<TransferItem> items = [];
            SourceTree? tree = null;
            foreach (string path in transfer.Paths)
            {
                if (transfer.IsAdd && RemoteSources.IsRepository(path))
                {
                    SourceTree repository = await GitRepository.CloneAsync(path, transfer.KeepGitDirectory, spools, cancellationToken);
                    owned.Add(repository);
                    items.Add(new TransferItem(repository.Root, "", ""));
                }
                else if (transfer.IsAdd && RemoteFile.IsAddress(path))
                {
                    SourceTree file = await FetchAsync(path, transfer, cancellationToken);
                    owned.Add(file);
                    items.Add(await ItemAsync(file.Root, file.Root.Name, transfer with { Unpack = transfer.Unpack ?? false }, "", owned, cancellationToken));
                }
                else
                {
                    tree ??= await TreeAsync(transfer.Source, owned, cancellationToken);
                    await AddFilesAsync(tree, transfer, path, items, owned, cancellationToken);
                }
            }

            bool keepsOwners = transfer.Source is LayersSource && transfer.Owner is null;
            Digest content = await WorkerThread.RunAsync("build-hash", () => TransferInputs.ContentOf(items, excludes, keepsOwners, cancellationToken, style == BuildStyle.Classic));
            TransferInputs inputs = new()
            {
                Items = items,
                Excludes = excludes,
                KeepsOwners = keepsOwners,
                ClearsSetId = style == BuildStyle.Classic,
                Content = content,
                Kind = items.Count + transfer.Files.Count > 1 ? "multi" : items is [{ Node.IsDirectory: true }] ? "dir" : "file",
            };
            inputs.Owned.AddRange(owned);
            return inputs;
        }
        catch
        {
            owned.ForEach(tree => tree.Dispose());
            throw;
        }
    }

    private async Task<SourceTree> FetchAsync(string address, TransferOperation transfer, CancellationToken cancellationToken)
    {
        try
        {
            return await RemoteSources.FetchFileAsync(address, transfer.Checksum, spools, cancellationToken);
        }
        catch (EngineException error) when (style == BuildStyle.Classic)
        {
            throw new EngineException(error.Kind, $"ADD failed: {error.Message}", error);
        }
    }

    private static IgnoreFile Excludes(TransferOperation transfer)
    {
        try
        {
            return transfer.Excludes.Count == 0 ? IgnoreFile.Empty : IgnoreFile.Parse(string.Join('\n', transfer.Excludes));
        }
        catch (FormatException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, error.Message, error);
        }
    }

    private async Task<SourceTree> TreeAsync(StepSource source, List<IDisposable> owned, CancellationToken cancellationToken)
    {
        if (source is ContextSource context)
        {
            return await contexts.OpenAsync(context.Name, cancellationToken);
        }

        SourceTree tree = DirectoryTree.Open(services.Data.Snapshots.MountImage([.. ((LayersSource)source).Layers.Select(layer => layer.ChainId)]));
        owned.Add(tree);
        return tree;
    }

    private async Task AddFilesAsync(SourceTree tree, TransferOperation transfer, string path, List<TransferItem> items, List<IDisposable> owned, CancellationToken cancellationToken)
    {
        // With --parents a path may say from where on its directories are kept: base/./kept/file.
        int pivot = transfer.Parents ? path.IndexOf("/./", StringComparison.Ordinal) : -1;
        string kept = pivot < 0 ? path : path[(pivot + 3)..];
        IReadOnlyList<(SourceNode Node, string Name)> found;
        try
        {
            found = tree.Match(SourceTree.Text(path));
        }
        catch (FormatException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"invalid pattern \"{path}\": {error.Message}", error);
        }

        if (found.Count == 0 && style != BuildStyle.Classic && Fixed(path) is { } fixedPart && tree.Find(SourceTree.Text(fixedPart)) is not null)
        {
            // A pattern may mean nothing, but not in a directory that is not there.
            return;
        }

        if (found.Count == 0 || (style == BuildStyle.Classic && transfer.Source is ContextSource && LeadsOut(path)))
        {
            throw new EngineException(ErrorKind.InvalidParameter, Missing(transfer, path));
        }

        int strip = transfer.Parents && pivot >= 0 ? path[..pivot].Split('/', StringSplitOptions.RemoveEmptyEntries).Length : 0;
        foreach ((SourceNode node, string name) in found)
        {
            string folder = "";
            if (transfer.Parents && kept.Length > 0)
            {
                string[] parts = [.. node.Path.Split('/', StringSplitOptions.RemoveEmptyEntries).Skip(strip)];
                folder = string.Join('/', node.IsDirectory ? parts : parts[..^1]);
            }

            items.Add(await ItemAsync(node, name, transfer, folder, owned, cancellationToken));
        }
    }

    /// <summary>The directory of a pattern, up to its first wildcard; null: it has none.</summary>
    private static string? Fixed(string path)
    {
        int wildcard = path.AsSpan().IndexOfAny("*?[");
        return wildcard < 0 ? null : path[..(path.LastIndexOf('/', wildcard) + 1)];
    }

    /// <summary>Docker's words, which name the path as it was looked for.</summary>
    private string Missing(TransferOperation transfer, string path)
    {
        if (style != BuildStyle.Classic)
        {
            return $"failed to compute cache key: failed to calculate checksum: \"/{path.TrimStart('/')}\": not found";
        }

        string command = transfer.IsAdd ? "ADD" : "COPY";
        return LeadsOut(path) && transfer.Source is ContextSource ? $"{command} failed: forbidden path outside the build context: {path} ()"
            : path.AsSpan().IndexOfAny("*?[") >= 0 ? $"{command} failed: no source files were specified"
            : transfer.Source is LayersSource ? $"{command} failed: stat {path}: file does not exist"
            : $"{command} failed: file not found in build context or excluded by .dockerignore: stat {path.TrimStart('/')}: file does not exist";
    }

    /// <summary>Whether a path leads above the root. Such a path means what is at the root, but to the classic builder, which refuses it.</summary>
    private static bool LeadsOut(string path)
    {
        int depth = 0;
        return path.AsSpan().IndexOfAny("*?[") < 0 && path.Split('/', StringSplitOptions.RemoveEmptyEntries).Any(part => (depth += part switch { "." => 0, ".." => -1, _ => 1 }) < 0);
    }

    private async Task<TransferItem> ItemAsync(SourceNode node, string name, TransferOperation transfer, string folder, List<IDisposable> owned, CancellationToken cancellationToken)
    {
        if (!transfer.IsAdd || transfer.Unpack == false || node.Entry.Type != TarEntryType.Regular || !IsArchive(node))
        {
            return new TransferItem(node, name, folder);
        }

        try
        {
            SourceTree archive = await WorkerThread.RunAsync("build-archive", () =>
            {
                using Stream content = node.Open();
                return ArchiveTree.Read(spools.Fill(content, cancellationToken), spools, cancellationToken);
            });
            owned.Add(archive);
            return new TransferItem(node, name, folder, archive);
        }
        catch (EngineException error)
        {
            throw new EngineException(error.Kind, $"failed to unpack {SourceTree.Display(node.Path)}: {error.Message}", error);
        }
    }

    /// <summary>A tar, perhaps compressed. It is one for Docker where it begins as one; what is compressed and does not is copied as it is.</summary>
    private static bool IsArchive(SourceNode node)
    {
        byte[] head = new byte[BlockSize];
        try
        {
            using Stream content = Decompression.Open(node.Open(), limits: null);
            return TarReader.IsHeader(head.AsSpan(0, content.ReadAtLeast(head, BlockSize, throwOnEndOfStream: false)));
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }
}
