using System.Globalization;
using Slipway.Api.Containers;
using Slipway.BuildKit.Protocol;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Grpc;
using Slipway.Oci;

namespace Slipway.Server.BuildKit;

/// <summary>
/// The options of the Dockerfile frontend, which are text by names, as parts of a build's request. Those that steer BuildKit's own inside, or that say what is
/// the case anyway, are passed over.
/// </summary>
internal sealed class FrontendOptions(IReadOnlyDictionary<string, string> options)
{
    private const string Dockerfile = "dockerfile.v0";
    private const string Gateway = "gateway.v0";

    /// <summary>Images of the Dockerfile frontend: what they do is done here.</summary>
    private static readonly string[] s_dockerfileImages = ["docker/dockerfile", "docker.io/docker/dockerfile", "docker/dockerfile-upstream", "docker.io/docker/dockerfile-upstream"];

    public string Filename => options.GetValueOrDefault("filename") is { Length: > 0 } name ? name : "Dockerfile";

    public string? Target => NonEmpty("target");

    public string ContextKey => NonEmpty("contextkey") ?? "context";

    /// <summary>Null: the Dockerfile is in the context where that is not a directory of the client.</summary>
    public string? DockerfileKey => NonEmpty("dockerfilekey");

    /// <summary>Null: a directory of the client.</summary>
    public string? Context => NonEmpty("context");

    public IReadOnlyDictionary<string, string> NamedContexts => WithPrefix("context:");

    public IReadOnlyDictionary<string, string?> Arguments => WithPrefix("build-arg:").ToDictionary(argument => argument.Key, string? (argument) => argument.Value);

    public IReadOnlyDictionary<string, string> Labels => WithPrefix("label:");

    public bool NoCache => options.GetValueOrDefault("no-cache") == "";

    public IReadOnlyList<string> NoCacheStages => Commas("no-cache");

    public bool Pull => options.GetValueOrDefault("image-resolve-mode") == "pull";

    public string? NetworkMode => NonEmpty("force-network-mode") switch
    {
        null or "default" or "sandbox" or "bridge" => null,
        var mode => mode,
    };

    /// <summary><c>name:address</c>.</summary>
    public IReadOnlyList<string> ExtraHosts => [.. Commas("add-hosts").Select(host => host.Split('=', 2) is [var name, var address]
        ? $"{name}:{address}"
        : throw Invalid("add-hosts", host))];

    public bool HasInlineCache => options.GetValueOrDefault("build-arg:BUILDKIT_INLINE_CACHE") is "1" or "true";

    /// <summary>Each once, in the order they are asked for; empty: the host's.</summary>
    public IReadOnlyList<Platform> Platforms => [.. Commas("platform").Select(Parse).Distinct()];

    public BuildLimits Limits => new()
    {
        ShmSize = Number("shm-size"),
        CgroupParent = options.GetValueOrDefault("cgroup-parent", ""),
        Ulimits = [.. Commas("ulimit").Select(ParseUlimit)],
    };

    /// <summary>Of everything that is made; null: the time it is.</summary>
    public DateTimeOffset? SourceDate => Slipway.Engine.Builds.SourceDate.Of(Arguments);

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public AttestationRequest Attestations => AttestationRequest.Parse(options.GetValueOrDefault("attest:provenance"), options.GetValueOrDefault("attest:sbom"));

    /// <summary>Registries that the classic option <c>--cache-from</c> names.</summary>
    public IReadOnlyList<string> CacheFrom => Commas("cache-from");

    /// <summary>Lines and stages before which a client that debugs has a shell: of our own.</summary>
    public IReadOnlyList<string> Breakpoints => Commas("slipway-break");

    /// <summary>The layers of the build become one: of our own.</summary>
    public bool Squash => NonEmpty("slipway-squash") is not null;

    /// <summary>What is asked for instead of a build (<c>--call</c>); null: a build.</summary>
    public string? Subrequest => NonEmpty("requestid");

    /// <summary>Other frontends would be programs from an image, run with the rights of a build (CVE-2024-23653).</summary>
    /// <exception cref="GrpcException">Unimplemented.</exception>
    public static void RequireDockerfile(FrontendRequest request)
    {
        if (request.Frontend == Gateway && request.Options.TryGetValue("source", out string? source))
        {
            string name = source.Split('@')[0];
            int colon = name.LastIndexOf(':');
            if (s_dockerfileImages.Contains(colon > name.LastIndexOf('/') ? name[..colon] : name))
            {
                return;
            }

            throw new GrpcException(GrpcStatusCode.Unimplemented, $"frontend {source} is not supported: Dockerfiles are built by the engine itself");
        }

        if (request.Frontend != Dockerfile)
        {
            throw new GrpcException(
                GrpcStatusCode.Unimplemented,
                request.Frontend.Length == 0 ? "a graph of the client's own is not supported: only Dockerfiles are built" : $"frontend {request.Frontend} is not supported");
        }
    }

    private static Platform Parse(string text)
    {
        try
        {
            return Platform.Parse(text);
        }
        catch (OciException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, error.Message, error);
        }
    }

    /// <summary><c>nofile=1024:2048</c>, or one number for both.</summary>
    private static Ulimit ParseUlimit(string text)
    {
        if (text.Split('=', 2) is [{ Length: > 0 } name, var limits]
            && limits.Split(':') is [var softText, ..] parts and { Length: <= 2 }
            && long.TryParse(softText, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long soft)
            && long.TryParse(parts[^1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long hard))
        {
            return new Ulimit(name, hard, soft);
        }

        throw Invalid("ulimit", text);
    }

    private Dictionary<string, string> WithPrefix(string prefix) => options
        .Where(option => option.Key.StartsWith(prefix, StringComparison.Ordinal))
        .ToDictionary(option => option.Key[prefix.Length..], option => option.Value);

    private string[] Commas(string name) => options.GetValueOrDefault(name, "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private string? NonEmpty(string name) => options.GetValueOrDefault(name) is { Length: > 0 } value ? value : null;

    private long Number(string name) => NonEmpty(name) is not { } text
        ? 0
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : throw Invalid(name, text);

    private static EngineException Invalid(string name, string value) => new(ErrorKind.InvalidParameter, $"invalid value \"{value}\" of {name}");
}
