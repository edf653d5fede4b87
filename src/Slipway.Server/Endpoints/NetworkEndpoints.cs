using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Networks;
using Slipway.Engine;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

internal static class NetworkEndpoints
{
    public static Task List(ApiRequest request) => request.WriteJsonAsync(request.Engine.Networks.List(request.Query.Filters()), EngineJson.Wire.ListNetwork);

    public static async Task Create(ApiRequest request)
    {
        NetworkCreateRequest create = await request.ReadJsonAsync<NetworkCreateRequest>() ?? throw NoBody();
        await request.WriteJsonAsync(await request.Engine.Networks.CreateAsync(create, request.Stopping), EngineJson.Wire.NetworkCreateResponse, StatusCodes.Status201Created);
    }

    public static Task Inspect(ApiRequest request) => request.WriteJsonAsync(request.Engine.Networks.Inspect(request.Parameter), EngineJson.Wire.Network);

    public static async Task Remove(ApiRequest request)
    {
        await request.Engine.Networks.RemoveAsync(request.Parameter, request.Stopping);
        await request.NoContent();
    }

    public static async Task Prune(ApiRequest request) =>
        await request.WriteJsonAsync(await request.Engine.Networks.PruneAsync(request.Query.Filters(), request.Stopping), EngineJson.Wire.NetworksPruneReport);

    public static async Task Connect(ApiRequest request)
    {
        NetworkConnectRequest connect = await request.ReadJsonAsync<NetworkConnectRequest>() ?? throw NoBody();
        await request.Engine.Networks.ConnectAsync(request.Parameter, connect, request.Stopping);
        request.Http.Response.StatusCode = StatusCodes.Status200OK;
    }

    public static async Task Disconnect(ApiRequest request)
    {
        NetworkDisconnectRequest disconnect = await request.ReadJsonAsync<NetworkDisconnectRequest>() ?? throw NoBody();
        await request.Engine.Networks.DisconnectAsync(request.Parameter, disconnect, request.Stopping);
        request.Http.Response.StatusCode = StatusCodes.Status200OK;
    }

    private static EngineException NoBody() => new(ErrorKind.InvalidParameter, "invalid JSON: got EOF while reading request body");
}
