using Slipway.Kernel.Compression;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Sources;

/// <summary>
/// What an archive may ask for: a few bytes of it, compressed ones above all, can name millions of files, which the engine remembers, and files with holes of any size.
/// </summary>
/// <param name="length">Of the archive as it came.</param>
/// <param name="memory">Bytes, as good as they can be told, that may be remembered of it.</param>
internal sealed class ArchiveBudget(long length, long memory)
{
    public const long MaximumMemory = 1L << 30;

    /// <summary>How far archives expand, as those of images may.</summary>
    public static readonly ExpansionLimits Expansion = new(1000, 1L << 30, 1L << 40);

    private const int NodeBytes = 512;
    private const int PartBytes = 64;

    private long _memory;
    private long _holes;

    /// <summary>A file is remembered.</summary>
    /// <exception cref="EngineException">InvalidParameter: it is one too many.</exception>
    public void Add(string name) => Remember(NodeBytes + (2L * name.Length));

    /// <summary>So is what is said of it.</summary>
    /// <exception cref="EngineException">InvalidParameter: it is too much.</exception>
    public void Add(TarEntry entry)
    {
        Remember(entry.Name.Length + entry.LinkName.Length + entry.Xattrs.Sum(xattr => (long)PartBytes + xattr.Name.Length + xattr.Value.Length));
        if (entry.Sparse is not { } segments)
        {
            return;
        }

        Remember((long)PartBytes * segments.Count);
        _holes = entry.Size > long.MaxValue - _holes ? long.MaxValue : _holes + entry.Size;
        if (_holes > Expansion.MaxBytes || (_holes > Expansion.RatioFrom && _holes / Expansion.MaxRatio > length))
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"the archive expands too far: files with holes have more than {Expansion.MaxRatio} times its {length} bytes");
        }
    }

    private void Remember(long bytes)
    {
        _memory += bytes;
        if (_memory > memory)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"the archive has too many files, or too much is said of them: to know them takes more than {memory} bytes");
        }
    }
}
