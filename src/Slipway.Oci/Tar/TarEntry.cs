namespace Slipway.Oci.Tar;

/// <summary>What an entry makes.</summary>
public enum TarEntryType
{
    Regular,
    HardLink,
    SymbolicLink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// <summary>A file's metadata in a tar. Names are bytes, because file names are: nothing says that they are UTF-8.</summary>
public sealed record TarEntry
{
    /// <summary>As written; may start with a slash or end with one, and may contain <c>..</c>.</summary>
    public required byte[] Name { get; init; }

    public TarEntryType Type { get; init; }

    /// <summary>Target of a symbolic link, or the name of the entry that a hard link shares.</summary>
    public byte[] LinkName { get; init; } = [];

    /// <summary>Permission bits with set-uid, set-gid and sticky: 07777.</summary>
    public uint Mode { get; init; }

    public long Uid { get; init; }

    public long Gid { get; init; }

    /// <summary>Bytes of the file, holes included; 0 for everything but regular files.</summary>
    public long Size { get; init; }

    public TarTime ModificationTime { get; init; }

    public TarTime? AccessTime { get; init; }

    public uint DeviceMajor { get; init; }

    public uint DeviceMinor { get; init; }

    public IReadOnlyList<TarXattr> Xattrs { get; init; } = [];

    /// <summary>Where the data of a sparse file goes, ascending; null for a file without holes.</summary>
    public IReadOnlyList<SparseSegment>? Sparse { get; init; }

    /// <summary>The name for messages; bytes that are no UTF-8 show as U+FFFD.</summary>
    public string DisplayName => System.Text.Encoding.UTF8.GetString(Name);
}

/// <summary>Seconds since the Unix epoch (may be negative) and nanoseconds, 0 to 999 999 999.</summary>
public readonly record struct TarTime(long Seconds, int Nanoseconds);

/// <param name="Name">With its namespace: <c>user.x</c>, <c>security.capability</c>.</param>
public readonly record struct TarXattr(byte[] Name, byte[] Value);

/// <summary>Bytes of a sparse file that are stored.</summary>
public readonly record struct SparseSegment(long Offset, long Length)
{
    public long End => Offset + Length;
}
