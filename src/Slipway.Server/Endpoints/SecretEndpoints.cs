using System.Globalization;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Secrets;
using Slipway.Engine;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

/// <summary>Secrets: Docker's operations, without a swarm.</summary>
internal static class SecretEndpoints
{
    public static Task List(ApiRequest request) => request.WriteJsonAsync([.. request.Engine.Secrets.List(request.Query.Filters())], EngineJson.Wire.ListSecret);

    public static async Task Create(ApiRequest request)
    {
        SecretSpec spec = await request.ReadJsonAsync<SecretSpec>() ?? throw Invalid("invalid JSON: got EOF while reading request body");
        await request.WriteJsonAsync(new SecretCreateResponse(await request.Engine.Secrets.CreateAsync(spec, request.Stopping)), EngineJson.Wire.SecretCreateResponse, StatusCodes.Status201Created);
    }

    public static Task Inspect(ApiRequest request) => request.WriteJsonAsync(request.Engine.Secrets.Inspect(request.Parameter), EngineJson.Wire.Secret);

    public static async Task Update(ApiRequest request)
    {
        SecretSpec spec = await request.ReadJsonAsync<SecretSpec>() ?? throw Invalid("invalid JSON: got EOF while reading request body");
        ulong version = ulong.TryParse(request.Query["version"], NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
            ? number
            : throw Invalid($"invalid secret version '{request.Query["version"]}'");
        await request.Engine.Secrets.UpdateAsync(request.Parameter, version, spec, request.Stopping);
        await request.Answer(StatusCodes.Status200OK);
    }

    public static async Task Remove(ApiRequest request)
    {
        await request.Engine.Secrets.RemoveAsync(request.Parameter, request.Stopping);
        await request.NoContent();
    }

    private static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);
}
