using Slipway.Kernel.Compression;
using Slipway.Kernel.Mounts;

namespace Slipway.Storage;

/// <summary>Where and within which limits an engine stores its data.</summary>
public sealed record DataRootOptions
{
    /// <summary>Absolute path of the data root (<c>/var/lib/slipway</c>); made with mode 0710 where it is missing.</summary>
    public required string Path { get; init; }

    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    public UnpackLimits Limits { get; init; } = new();

    /// <summary>How long the layers of an interrupted pull stay, so that the next one need not fetch them again.</summary>
    public TimeSpan HoldInterruptedFor { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How long directories that a burst of new containers has asked for stay ready after it.</summary>
    public TimeSpan SpareRetention { get; init; } = TimeSpan.FromMinutes(1);
}

/// <summary>Bounds on what an image may make the host store; an archive beyond one is refused.</summary>
public sealed record UnpackLimits
{
    /// <summary>Layers of one image: what a root file system can be stacked of.</summary>
    public int MaxLayers { get; init; } = OverlayMount.MaximumLayers;

    /// <summary>Bytes of a configuration, a manifest or an index.</summary>
    public int MaxDocumentBytes { get; init; } = 16 << 20;

    /// <summary>Entries of one layer; a whole distribution has about 100 000 files.</summary>
    public int MaxEntries { get; init; } = 500_000;

    /// <summary>Bytes of one layer once unpacked: what a sparse file claims counts in full.</summary>
    public long MaxBytes { get; init; } = 64L << 30;

    /// <summary>Directories one path may lead through.</summary>
    public int MaxDepth { get; init; } = 256;

    /// <summary>Unpacked bytes per compressed byte, once a layer is beyond <see cref="RatioFrom"/>. Programs and texts have 2 to 10, gzip's best for zeros is 1032.</summary>
    public int MaxRatio { get; init; } = 100;

    /// <summary>Bytes of a layer up to which the ratio does not matter.</summary>
    public long RatioFrom { get; init; } = 1L << 30;

    internal ExpansionLimits Expansion => new(MaxRatio, RatioFrom, MaxBytes);
}
