using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Slipway.Api;
using Slipway.Api.Builds;
using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Registries;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Engine.Builds.Classic;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Server.Http;
using Slipway.Server.Streams;

namespace Slipway.Server.Endpoints;

/// <summary>The classic builder's part of the API.</summary>
internal static class BuildEndpoints
{
    private const string RegistryConfig = "X-Registry-Config";

    private static readonly byte[] s_lineEnd = "\r\n"u8.ToArray();

    public static async Task Build(ApiRequest request)
    {
        QueryParameters query = request.Query;
        BuildRequest build = RequestOf(request);
        bool quiet = query.Flag("q");
        JsonLines lines = new(request);
        ClassicProgress progress = new(message => quiet ? ValueTask.CompletedTask : SendAsync(message), query.Text("rm") is null || query.Flag("rm"), query.Flag("forcerm"));
        using CancellationTokenSource listening = CancellationTokenSource.CreateLinkedTokenSource(request.Http.RequestAborted, request.Stopping);
        try
        {
            BuildResult result = await Builds(request).BuildAsync(build, progress, listening.Token);
            if (quiet)
            {
                await SendAsync(new BuildMessage { Stream = $"{result.ImageId}\n" });
            }
            else
            {
                await progress.EndAsync(result);
            }
        }
        catch (Exception error) when (error is BuildException or EngineException)
        {
            if (!request.Response.HasStarted)
            {
                throw error is BuildException found ? new EngineException(ErrorKind.InvalidParameter, WithPlace(found), error) : error;
            }

            await progress.FlushAsync();
            string message = error is BuildException failed ? WithPlace(failed) : error.Message;
            await SendAsync(new BuildMessage { ErrorDetail = new BuildError((error as BuildException)?.ExitCode ?? 0, message), Error = message });
        }

        ValueTask SendAsync(BuildMessage message) => lines.WriteAsync(message, EngineJson.Wire.BuildMessage, s_lineEnd, request.Http.RequestAborted);
    }

    /// <summary>With the lines around what cannot be read, after the words that clients know. Which step failed the stream has told.</summary>
    private static string WithPlace(BuildException error) => error.Vertex.IsNone && error.Excerpt.Length > 0 ? $"{error.Message}\n{error.Excerpt.TrimEnd()}" : error.Message;

    public static async Task Prune(ApiRequest request)
    {
        QueryParameters query = request.Query;
        BuildCachePruned pruned = await Builds(request).PruneAsync(
            new BuildCachePrune { All = query.Flag("all"), KeepStorage = Number(query, "keep-storage"), Filters = query.Filters() }, request.Stopping);
        await request.WriteJsonAsync(new BuildCachePruneReport(pruned.Records.Count > 0 ? [.. pruned.Records.Select(record => record.Id)] : null, pruned.SpaceReclaimed), EngineJson.Wire.BuildCachePruneReport);
    }

    private static IBuilds Builds(ApiRequest request) => request.Engine.Builds ?? throw new EngineException(ErrorKind.NotImplemented, "this engine does not build");

    private static BuildRequest RequestOf(ApiRequest request)
    {
        QueryParameters query = request.Query;
        if (query["version"] is not ("" or "1" or "2") and var version)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"invalid version \"{version}\"");
        }

        if (query["version"] == "2")
        {
            throw new EngineException(ErrorKind.InvalidParameter, "BuildKit builds are asked for over /grpc; set DOCKER_BUILDKIT=0 for this one");
        }

        if (query.Flag("squash") && !request.Engine.Daemon.IsExperimental)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "squash is only supported with experimental mode");
        }

        if (query.Text("securityopt") is not (null or "null" or "[]"))
        {
            throw new EngineException(ErrorKind.InvalidParameter, "security options are not supported on linux");
        }

        if (query["isolation"] is { Length: > 0 } isolation && !isolation.Equals("default", StringComparison.OrdinalIgnoreCase))
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"unsupported isolation: \"{isolation}\"");
        }

        string dockerfile = query.Text("dockerfile") ?? "Dockerfile";
        string? platform = query.Text("platform");
        Dictionary<string, string?> arguments = Json(query, "buildargs", "build args", EngineJson.Wire.DictionaryStringString)?.ToDictionary(argument => argument.Key, argument => (string?)argument.Value) ?? [];
        return new BuildRequest
        {
            Dockerfile = new DockerfileFile(dockerfile),
            Context = query.Text("remote") is { } remote ? new RemoteContext(remote) : new TarContext(request.Http.Request.Body),
            Target = query.Text("target"),
            Arguments = arguments,
            SourceDate = SourceDate.Of(arguments),
            Labels = Json(query, "labels", "labels", EngineJson.Wire.DictionaryStringString) ?? [],
            Platforms = platform is null ? [] : [PlatformOf(platform)],
            NoCache = query.Flag("nocache"),
            Pull = query.Flag("pull"),
            Squash = query.Flag("squash"),
            NetworkMode = query.Text("networkmode"),
            ExtraHosts = query.All("extrahosts"),
            Limits = new BuildLimits
            {
                Memory = Number(query, "memory"),
                MemorySwap = Number(query, "memswap"),
                ShmSize = Number(query, "shmsize"),
                CpuShares = Number(query, "cpushares"),
                CpuPeriod = Number(query, "cpuperiod"),
                CpuQuota = Number(query, "cpuquota"),
                CpusetCpus = query["cpusetcpus"],
                CpusetMems = query["cpusetmems"],
                Ulimits = Json(query, "ulimits", "ulimit settings", EngineJson.Wire.ListUlimit) ?? [],
                CgroupParent = query["cgroupparent"],
            },
            Credentials = Credentials(request),
            CacheImports = [.. (Json(query, "cachefrom", "cache-from", EngineJson.Wire.ListString) ?? []).Select(image => new CacheLocation("image", new Dictionary<string, string> { ["ref"] = image }))],
            Outputs = [new ImageOutput([.. query.All("t").Where(name => name.Length > 0).Select(Name)])],
            Style = BuildStyle.Classic,
        };
    }

    private static Platform PlatformOf(string text)
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

    private static Reference Name(string text)
    {
        try
        {
            Reference name = Reference.Parse(text);
            return name.Digest.IsNone ? name : throw new EngineException(ErrorKind.InvalidParameter, "refusing to create a tag with a digest reference");
        }
        catch (OciException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, error.Message, error);
        }
    }

    private static long Number(QueryParameters query, string name) => query.Text(name) is not { } text ? 0
        : long.TryParse(text, out long number) ? number
        : throw new EngineException(ErrorKind.InvalidParameter, $"strconv.ParseInt: parsing \"{text}\": invalid syntax");

    private static T? Json<T>(QueryParameters query, string name, string said, JsonTypeInfo<T> type)
        where T : class
    {
        if (query.Text(name) is not { } text)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(text, type);
        }
        catch (JsonException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"error reading {said}: {error.Message}", error);
        }
    }

    /// <summary>Credentials by registry, as JSON in base64; what cannot be read counts as none, as in Docker.</summary>
    private static HeaderCredentials? Credentials(ApiRequest request)
    {
        string text = request.Http.Request.Headers[RegistryConfig].ToString();
        try
        {
            byte[] json = System.Buffers.Text.Base64Url.DecodeFromChars(text.Replace('+', '-').Replace('/', '_'));
            return text.Length > 0 && JsonSerializer.Deserialize(Encoding.UTF8.GetString(json), EngineJson.Wire.DictionaryStringAuthConfig) is { } hosts ? new HeaderCredentials(hosts) : null;
        }
        catch (Exception error) when (error is FormatException or JsonException)
        {
            return null;
        }
    }

    private sealed class HeaderCredentials(Dictionary<string, AuthConfig> hosts) : IBuildCredentials
    {
        /// <summary>Docker Hub's entry has the name of its first version.</summary>
        private const string HubEntry = "https://index.docker.io/v1/";

        public Task<RegistryCredentials?> ForAsync(string host, CancellationToken cancellationToken) =>
            Task.FromResult(hosts.TryGetValue(host, out AuthConfig? auth) || (host == "docker.io" && hosts.TryGetValue(HubEntry, out auth)) ? RegistryAuth.Of(auth!) : null);
    }
}
