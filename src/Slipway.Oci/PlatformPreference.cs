using System.Globalization;
using System.Runtime.Intrinsics.X86;

namespace Slipway.Oci;

/// <summary>
/// Which images can serve for a platform, and which of them serves best: an x86-64 processor of level 3 runs images of level 3, 2 and 1
/// in this order, then those of 386; arm64 runs arm/v8 to v5, arm/v7 runs v6 and v5.
/// </summary>
public sealed class PlatformPreference
{
    private readonly List<(string Architecture, string? Variant)> _accepted;

    /// <param name="wanted">A platform as a user names it.</param>
    public PlatformPreference(Platform wanted)
    {
        Wanted = wanted.Normalize();
        _accepted = [.. Accepted(Wanted.Architecture, Wanted.Variant)];
    }

    public Platform Wanted { get; }

    /// <summary>What this host runs best.</summary>
    public static PlatformPreference Host { get; } = new(Platform.Host with { Variant = Platform.Host.Architecture == "amd64" ? X86Level() : Platform.Host.Variant });

    /// <summary>Place of a candidate among those that can serve, 0 for the best; null where it cannot.</summary>
    public int? Rank(Platform candidate)
    {
        Platform platform = candidate.Normalize();
        int rank = platform.Os == Wanted.Os ? _accepted.IndexOf((platform.Architecture, platform.Variant)) : -1;
        return rank < 0 ? null : rank;
    }

    public bool Accepts(Platform candidate) => Rank(candidate) is not null;

    /// <summary>The best manifest of an index, the first of equals; one that names no platform comes last. Null where none can serve.</summary>
    public Descriptor? Choose(IEnumerable<Descriptor> manifests) => manifests
        .Where(manifest => MediaTypes.IsManifest(manifest.MediaType) && manifest.ArtifactType is null)
        .Select(manifest => (Manifest: manifest, Rank: manifest.Platform is { } platform ? Rank(platform) : int.MaxValue))
        .Where(candidate => candidate.Rank is not null)
        .OrderBy(candidate => candidate.Rank)
        .Select(candidate => candidate.Manifest)
        .FirstOrDefault();

    /// <summary>As the user named it.</summary>
    public override string ToString() => Wanted.ToString();

    private static IEnumerable<(string, string?)> Accepted(string architecture, string? variant) => architecture switch
    {
        "amd64" => [.. Levels(variant, lowest: 2).Select(level => (architecture, (string?)level)), (architecture, null), ("386", null)],
        "arm64" => [(architecture, variant), .. variant is null ? [] : new[] { (architecture, (string?)null) }, .. Accepted("arm", "v8")],
        "arm" => Levels(variant, lowest: 5).Select(level => (architecture, (string?)level)),
        _ => [(architecture, variant)],
    };

    /// <summary><c>v7</c>, <c>v6</c>, … down to the lowest; a variant that is no number stands for itself.</summary>
    private static IEnumerable<string> Levels(string? variant, int lowest)
    {
        if (variant is null)
        {
            return [];
        }

        return int.TryParse(variant.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out int highest) && highest is > 0 and < 100
            ? Enumerable.Range(0, Math.Max(0, highest - lowest + 1)).Select(below => string.Create(CultureInfo.InvariantCulture, $"v{highest - below}"))
            : [variant];
    }

    /// <summary>The levels of the x86-64 psABI; null for the first.</summary>
    private static string? X86Level() =>
        !Sse42.IsSupported || !Popcnt.IsSupported ? null
        : !Avx2.IsSupported || !Bmi1.IsSupported || !Bmi2.IsSupported || !Fma.IsSupported || !Lzcnt.IsSupported ? "v2"
        : !Avx512BW.IsSupported || !Avx512CD.IsSupported || !Avx512DQ.IsSupported || !Avx512F.VL.IsSupported ? "v3"
        : "v4";
}
