using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Unicode;

namespace Slipway.Oci;

/// <summary>
/// An image's configuration document (image-spec, config.md, and what Docker adds to it). Times are kept as
/// written. The document itself is stored byte for byte; its SHA-256 is the image's id.
/// </summary>
public sealed record ImageConfig
{
    [JsonPropertyName("architecture")]
    public string Architecture { get; init; } = "";

    [JsonPropertyName("author")]
    public string? Author { get; init; }

    [JsonPropertyName("comment")]
    public string? Comment { get; init; }

    [JsonPropertyName("config")]
    public ImageRunConfig? Config { get; init; }

    /// <summary>RFC 3339.</summary>
    [JsonPropertyName("created")]
    public string? Created { get; init; }

    [JsonPropertyName("docker_version")]
    public string? DockerVersion { get; init; }

    [JsonPropertyName("history")]
    public IReadOnlyList<ImageHistory>? History { get; init; }

    /// <summary>What steps made the layers, for builds that import it as a cache (BuildKit).</summary>
    [JsonPropertyName("moby.buildkit.cache.v0")]
    public byte[]? BuildCache { get; init; }

    [JsonPropertyName("os")]
    public string Os { get; init; } = "";

    [JsonPropertyName("os.features")]
    public IReadOnlyList<string>? OsFeatures { get; init; }

    [JsonPropertyName("os.version")]
    public string? OsVersion { get; init; }

    [JsonPropertyName("rootfs")]
    public RootFilesystem? RootFs { get; init; }

    [JsonPropertyName("variant")]
    public string? Variant { get; init; }

    /// <summary>The layers, lowest first, by the digests of their uncompressed tars.</summary>
    [JsonIgnore]
    public IReadOnlyList<Digest> DiffIds => RootFs?.DiffIds ?? [];

    /// <summary>The layers, lowest first, each together with all below it (config.md, "Layer ChainID").</summary>
    [JsonIgnore]
    public IEnumerable<Digest> ChainIds
    {
        get
        {
            var chainId = default(Digest);
            foreach (var diffId in DiffIds)
            {
                chainId = chainId.IsNone ? diffId : Digest.Of(Encoding.ASCII.GetBytes($"{chainId} {diffId}"));
                yield return chainId;
            }
        }
    }

    /// <summary>Reads a document.</summary>
    /// <exception cref="OciException">No image configuration.</exception>
    public static ImageConfig Parse(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
        {
            throw new OciException("invalid image JSON: it is not UTF-8");
        }

        ImageConfig? config;
        try
        {
            config = JsonSerializer.Deserialize(json, OciJson.Default.ImageConfig);
        }
        catch (JsonException error)
        {
            throw new OciException($"invalid image JSON: {error.Message}", error);
        }

        if (config?.RootFs is null)
        {
            throw new OciException("invalid image JSON, no RootFS key");
        }

        if (config.DiffIds.Any(diffId => diffId.IsNone || diffId.Algorithm != Digest.Sha256))
        {
            throw new OciException("invalid image JSON: a layer has no valid diff id");
        }

        return config;
    }

    [JsonIgnore]
    public Platform Platform => new() { Architecture = Architecture, Os = Os, OsVersion = OsVersion, OsFeatures = OsFeatures, Variant = Variant };
}

/// <summary>Defaults for containers of the image (config.md, "config"; the rest is Docker's).</summary>
public sealed record ImageRunConfig
{
    public string? Hostname { get; init; }

    public string? Domainname { get; init; }

    public string? User { get; init; }

    public bool? AttachStdin { get; init; }

    public bool? AttachStdout { get; init; }

    public bool? AttachStderr { get; init; }

    /// <summary>Keys like <c>80/tcp</c>; the values say nothing.</summary>
    public IReadOnlyDictionary<string, EmptyObject>? ExposedPorts { get; init; }

    public bool? Tty { get; init; }

    public bool? OpenStdin { get; init; }

    public bool? StdinOnce { get; init; }

    /// <summary><c>NAME=value</c>.</summary>
    public IReadOnlyList<string>? Env { get; init; }

    [JsonConverter(typeof(StringOrListJsonConverter))]
    public IReadOnlyList<string>? Cmd { get; init; }

    public Healthcheck? Healthcheck { get; init; }

    /// <summary>Windows only: the command is one escaped line.</summary>
    public bool? ArgsEscaped { get; init; }

    public string? Image { get; init; }

    public IReadOnlyDictionary<string, EmptyObject>? Volumes { get; init; }

    public string? WorkingDir { get; init; }

    [JsonConverter(typeof(StringOrListJsonConverter))]
    public IReadOnlyList<string>? Entrypoint { get; init; }

    public bool? NetworkDisabled { get; init; }

    public string? MacAddress { get; init; }

    public IReadOnlyList<string>? OnBuild { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    public string? StopSignal { get; init; }

    public int? StopTimeout { get; init; }

    [JsonConverter(typeof(StringOrListJsonConverter))]
    public IReadOnlyList<string>? Shell { get; init; }
}

/// <summary>A health check; durations are in nanoseconds, 0 means the default.</summary>
public sealed record Healthcheck
{
    /// <summary><c>NONE</c>, or <c>CMD</c> and arguments, or <c>CMD-SHELL</c> and a command line.</summary>
    public IReadOnlyList<string>? Test { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Interval { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Timeout { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long StartPeriod { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long StartInterval { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Retries { get; init; }
}

/// <summary>The layers, lowest first, by the digests of their uncompressed tars.</summary>
public sealed record RootFilesystem
{
    [JsonPropertyName("type")]
    public string Type { get; init; } = "layers";

    [JsonPropertyName("diff_ids")]
    public IReadOnlyList<Digest> DiffIds { get; init; } = [];
}

public sealed record ImageHistory
{
    [JsonPropertyName("created")]
    public string? Created { get; init; }

    [JsonPropertyName("author")]
    public string? Author { get; init; }

    [JsonPropertyName("created_by")]
    public string? CreatedBy { get; init; }

    [JsonPropertyName("comment")]
    public string? Comment { get; init; }

    /// <summary>The step made no layer.</summary>
    [JsonPropertyName("empty_layer")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool EmptyLayer { get; init; }
}

/// <summary>Go's <c>struct{}</c>: <c>{}</c>.</summary>
public sealed record EmptyObject
{
    public static EmptyObject Value { get; } = new();
}
