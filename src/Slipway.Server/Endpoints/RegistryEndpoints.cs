using System.Text.Json;
using Slipway.Api;
using Slipway.Api.Registries;
using Slipway.Engine;
using Slipway.Engine.Images.Registries;
using Slipway.Oci;
using Slipway.Registry.Distribution;
using Slipway.Server.Http;
using Slipway.Server.Streams;

namespace Slipway.Server.Endpoints;

/// <summary>What the engine does with registries on behalf of a client, whose leaving ends it.</summary>
internal static class RegistryEndpoints
{
    public static async Task Pull(ApiRequest request)
    {
        ImagePullRequest pull = new(request.Query["fromImage"], request.Query.Text("tag"), request.Query.Text("platform"), RegistryAuth.Of(request.Http.Request));
        using CancellationTokenSource end = request.WhileClientListens();
        await new JsonLines(request, TimeSpan.Zero).RunAsync(progress => request.Engine.Registries.PullAsync(pull, progress, end.Token));
    }

    public static async Task Push(ApiRequest request)
    {
        ImagePushRequest push = new(request.Parameter, request.Query.Text("tag"), PlatformOf(request.Query.Text("platform")), RegistryAuth.Of(request.Http.Request));
        using CancellationTokenSource end = request.WhileClientListens();
        await new JsonLines(request, TimeSpan.Zero).RunAsync(progress => request.Engine.Registries.PushAsync(push, progress, end.Token));
    }

    public static async Task Login(ApiRequest request)
    {
        AuthConfig auth = await request.ReadJsonAsync<AuthConfig>() ?? throw new EngineException(ErrorKind.InvalidParameter, "credentials must be given");
        RegistryCredentials credentials = RegistryAuth.Of(auth) ?? new RegistryCredentials { ServerAddress = auth.ServerAddress ?? "" };
        await request.WriteJsonAsync(await request.Engine.Registries.LoginAsync(credentials, request.Http.RequestAborted), EngineJson.Wire.LoginAnswer);
    }

    public static async Task Inspect(ApiRequest request)
    {
        DistributionInspect found = await request.Engine.Registries.InspectAsync(request.Parameter, RegistryAuth.Of(request.Http.Request), request.Http.RequestAborted);
        await request.WriteJsonAsync(found, EngineJson.Wire.DistributionInspect);
    }

    public static async Task Search(ApiRequest request)
    {
        IReadOnlyList<SearchResult> found = await request.Engine.Registries.SearchAsync(
            request.Query["term"], request.Query.Number("limit"), request.Query.Filters(), request.Http.RequestAborted);
        await request.WriteJsonAsync([.. found], EngineJson.Wire.ListSearchResult);
    }

    /// <summary>A push, a load and a save name their platform as a document, other than a pull.</summary>
    internal static Platform? PlatformOf(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize(json, OciJson.Default.Platform);
        }
        catch (JsonException error)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"failed to parse platform: {error.Message}", error);
        }
    }
}
