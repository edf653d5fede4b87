using System.Globalization;

namespace Slipway.Engine.Builds;

/// <summary>What is to be told of a result beside it (docs.docker.com/build/metadata/attestations).</summary>
public sealed record AttestationRequest
{
    /// <summary>How it was made (SLSA provenance v0.2); null: that is not asked for.</summary>
    public ProvenanceRequest? Provenance { get; init; }

    /// <summary>What packages it has (SPDX 2.3).</summary>
    public bool Packages { get; init; }

    public bool IsEmpty => Provenance is null && !Packages;

    /// <param name="provenance">The options of <c>attest:provenance</c>; null: there are none.</param>
    /// <param name="sbom">Those of <c>attest:sbom</c>.</param>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static AttestationRequest Parse(string? provenance, string? sbom) => new() { Provenance = provenance is null ? null : ParseProvenance(Options(provenance)), Packages = sbom is not null && ParseBill(Options(sbom)) };

    private static ProvenanceRequest? ParseProvenance(Dictionary<string, string> options)
    {
        string mode = options.GetValueOrDefault("mode", "min");
        if (mode is not ("min" or "max"))
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"invalid mode \"{mode}\"");
        }

        if (options.GetValueOrDefault("version", "v0.2") is var version && version != "v0.2")
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"provenance version \"{version}\" is not supported: v0.2 is");
        }

        // buildx asks for this one of itself with every build; the image stays an image then.
        bool isUnasked = options.GetValueOrDefault("inline-only") is "true" or "1";
        return isUnasked || !IsOn(options) ? null
            : new ProvenanceRequest(mode == "max", options.GetValueOrDefault("builder-id", ""), options.GetValueOrDefault("reproducible") is "true" or "1");
    }

    private static bool ParseBill(Dictionary<string, string> options) => options.GetValueOrDefault("generator") is { Length: > 0 } generator
        ? throw new EngineException(ErrorKind.InvalidParameter, $"SBOM generator {generator} is not supported: the engine looks at the image itself")
        : IsOn(options);

    private static bool IsOn(Dictionary<string, string> options) => options.GetValueOrDefault("disabled") is not ("true" or "1");

    private static Dictionary<string, string> Options(string text)
    {
        Dictionary<string, string> options = new(StringComparer.Ordinal);
        foreach (string option in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] parts = option.Split('=', 2);
            options[parts[0].ToLower(CultureInfo.InvariantCulture)] = parts.Length > 1 ? parts[1] : "true";
        }

        return options;
    }
}

/// <param name="IsMaximal">Also what it was built with: arguments, labels, the Dockerfile, its steps.</param>
/// <param name="BuilderId">Who says that it was built like this; empty: nobody is named.</param>
/// <param name="IsReproducible">The word of who asked for the build.</param>
public sealed record ProvenanceRequest(bool IsMaximal, string BuilderId, bool IsReproducible);
