using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Sources;

/// <summary>
/// A file of a tree that a build reads. Names are bytes, here as text of one character each (Latin-1), so that none is lost; patterns of a Dockerfile are brought
/// into that form (<see cref="SourceTree.Text"/>).
/// </summary>
internal abstract class SourceNode(SourceNode? parent, string name)
{
    private const int BufferSize = 128 << 10;

    private byte[]? _hash;

    /// <summary>Null: the root.</summary>
    public SourceNode? Parent { get; } = parent;

    public string Name { get; } = name;

    /// <summary>Kind, owner, mode, times; its name is of no matter.</summary>
    public abstract TarEntry Entry { get; }

    public bool IsDirectory => Entry.Type == TarEntryType.Directory;

    /// <summary>What is in a directory, by name in byte order; empty for anything else.</summary>
    public abstract SortedDictionary<string, SourceNode> Children { get; }

    /// <summary>From the root, with slashes and none at either end.</summary>
    public string Path => Parent is null ? "" : Parent.Parent is null ? Name : $"{Parent.Path}/{Name}";

    public byte[] NameBytes => Encoding.Latin1.GetBytes(Name);

    /// <summary>The same object for all names of a file that has several (hard links); null: it has one.</summary>
    public virtual object? Links => null;

    /// <summary>The content of a regular file; read by blocking calls.</summary>
    public abstract Stream Open();

    /// <summary>SHA-256 of the content.</summary>
    public byte[] Hash(CancellationToken cancellationToken)
    {
        if (_hash is null)
        {
            using Stream content = Open();
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
            try
            {
                for (int count; (count = content.Read(buffer, 0, buffer.Length)) > 0;)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    hash.AppendData(buffer, 0, count);
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }

            _hash = hash.GetHashAndReset();
        }

        return _hash;
    }
}
