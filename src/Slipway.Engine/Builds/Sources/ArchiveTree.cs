using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Compression;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Sources;

/// <summary>
/// A tar as a tree. It is not unpacked: what it holds is found in it, and read only where a step wants it.
/// </summary>
internal static class ArchiveTree
{
    private const int MaximumDepth = 1024;
    private const uint DirectoryMode = 0x1ed; // 0755

    private static readonly SortedDictionary<string, SourceNode> s_none = [];

    /// <summary>Reads an archive that is in a file, with blocking calls.</summary>
    /// <param name="spool">Owned by the tree from now on.</param>
    /// <param name="memory">How much may be remembered of it.</param>
    /// <exception cref="EngineException">InvalidParameter: it is no tar, or none that can be meant.</exception>
    public static SourceTree Read(Spool spool, SpoolDirectory directory, CancellationToken cancellationToken, long memory = ArchiveBudget.MaximumMemory)
    {
        try
        {
            ArchiveBudget budget = new(RandomAccess.GetLength(spool.File), memory);
            spool = Decompressed(spool, directory, cancellationToken);
            Node root = new(null, "", Directory([]), spool.File, 0);
            using FileStream stream = spool.OpenStream();
            TarReader reader = new(stream);
            while (reader.Next() is { } entry)
            {
                cancellationToken.ThrowIfCancellationRequested();
                budget.Add(entry);
                Add(root, entry, spool.File, stream.Position, budget);
            }

            return new SourceTree(root, spool);
        }
        catch (Exception error) when (error is OciException or InvalidDataException)
        {
            spool.Dispose();
            throw new EngineException(ErrorKind.InvalidParameter, error.Message, error);
        }
        catch
        {
            spool.Dispose();
            throw;
        }
    }

    private static Spool Decompressed(Spool spool, SpoolDirectory directory, CancellationToken cancellationToken)
    {
        Span<byte> head = stackalloc byte[Decompression.MagicLength];
        int length = RandomAccess.Read(spool.File, head, 0);
        if (Decompression.Detect(head[..length]) == CompressionFormat.None)
        {
            return spool;
        }

        using (spool)
        using (Stream plain = Decompression.Open(spool.OpenStream(), ArchiveBudget.Expansion))
        {
            return directory.Fill(plain, cancellationToken);
        }
    }

    private static void Add(Node root, TarEntry entry, SafeFileHandle file, long offset, ArchiveBudget budget)
    {
        List<string> parts = [];
        foreach (string part in Encoding.Latin1.GetString(entry.Name).Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == "..")
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"invalid tar entry \"{entry.DisplayName}\": it is outside of the context");
            }

            if (part != ".")
            {
                parts.Add(part);
            }
        }

        if (parts.Count == 0)
        {
            return;
        }

        if (parts.Count > MaximumDepth)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"an entry of the archive leads through more than {MaximumDepth} directories");
        }

        Node parent = root;
        foreach (string part in parts[..^1])
        {
            // Links on the way are not followed: what lies below one replaces it.
            Node? next = parent.Members.TryGetValue(part, out SourceNode? known) && known.IsDirectory ? (Node)known : null;
            if (next is null)
            {
                budget.Add(part);
                next = new Node(parent, part, Directory([]), file, 0);
                parent.Members[part] = next;
            }

            parent = next;
        }

        string name = parts[^1];
        budget.Add(name);
        if (entry.Type == TarEntryType.HardLink)
        {
            string target = Encoding.Latin1.GetString(entry.LinkName);
            SourceNode linked = new SourceTree(root).Find(target) is { IsDirectory: false } found ? found
                : throw new EngineException(ErrorKind.InvalidParameter, $"invalid tar entry \"{entry.DisplayName}\": it is a hard link to \"{SourceTree.Display(target)}\", which does not exist");
            parent.Members[name] = ((Node)linked).As(parent, name);
            return;
        }

        if (entry.Type == TarEntryType.Directory && parent.Members.TryGetValue(name, out SourceNode? existing) && existing.IsDirectory)
        {
            ((Node)existing).Describe(entry);
            return;
        }

        parent.Members[name] = new Node(parent, name, entry, file, offset);
    }

    private static TarEntry Directory(byte[] name) => new() { Name = name, Type = TarEntryType.Directory, Mode = DirectoryMode };

    private sealed class Node(SourceNode? parent, string name, TarEntry entry, SafeFileHandle file, long offset) : SourceNode(parent, name)
    {
        private TarEntry _entry = entry;
        private object? _links;

        public override TarEntry Entry => _entry;

        public SortedDictionary<string, SourceNode> Members => field ??= new(StringComparer.Ordinal);

        public override SortedDictionary<string, SourceNode> Children => IsDirectory ? Members : s_none;

        public void Describe(TarEntry directory) => _entry = directory;

        /// <summary>The same file under another name.</summary>
        public Node As(SourceNode directory, string other) => new(directory, other, _entry, file, offset) { _links = _links ??= new object() };

        public override object? Links => _links;

        public override Stream Open() => _entry.Sparse is { } segments ? new SparseContent(file, offset, segments, _entry.Size) : new FileRange(file, offset, _entry.Size);
    }
}
