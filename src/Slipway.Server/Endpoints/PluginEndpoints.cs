using Slipway.Api;
using Slipway.Engine;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

/// <summary>
/// Docker's managed plugins, which are containers with rights over the host: there are none here, and none can be installed. Plugins of the first kind, programs of the host
/// that answer on a socket, are found by their users (volume drivers).
/// </summary>
internal static class PluginEndpoints
{
    public static Task List(ApiRequest request)
    {
        request.Query.Filters().Validate("enabled", "capability");
        return request.WriteJsonAsync([], EngineJson.Wire.ListString);
    }

    /// <summary>What is asked of a plugin that is installed: there is none.</summary>
    public static Task OfOne(ApiRequest request) => throw new EngineException(ErrorKind.NotFound, $"plugin \"{request.Parameter}\" not found");

    public static Task Install(ApiRequest request) => throw new EngineException(
        ErrorKind.NotImplemented,
        "managed plugins are not supported: a plugin that is installed on the host and answers on a socket in /run/docker/plugins is (docs/volumes.md)");
}
