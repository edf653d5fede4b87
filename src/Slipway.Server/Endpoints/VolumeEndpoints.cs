using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Disk;
using Slipway.Api.Volumes;
using Slipway.Engine;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

internal static class VolumeEndpoints
{
    public static Task List(ApiRequest request) => request.WriteJsonAsync(request.Volumes.List(request.Query.Filters()), EngineJson.Wire.VolumeList);

    public static async Task Create(ApiRequest request)
    {
        // Without a body: a volume without a name, as in Docker.
        VolumeCreateRequest create = await request.ReadJsonAsync<VolumeCreateRequest>() ?? new VolumeCreateRequest();
        Volume volume = await request.Volumes.CreateAsync(create, request.Stopping);
        await request.WriteJsonAsync(volume, EngineJson.Wire.Volume, StatusCodes.Status201Created);
    }

    public static Task Inspect(ApiRequest request) => request.WriteJsonAsync(request.Volumes.Inspect(request.Parameter), EngineJson.Wire.Volume);

    /// <summary>Only volumes of a swarm can be changed, and there is none.</summary>
    public static Task Update(ApiRequest request) => throw new EngineException(ErrorKind.Unavailable, "volume update only valid for cluster volumes, but swarm is unavailable");

    public static async Task Remove(ApiRequest request)
    {
        await request.Volumes.RemoveAsync(request.Parameter, request.Query.Flag("force"), request.Stopping);
        await request.NoContent();
    }

    public static async Task Copy(ApiRequest request)
    {
        VolumeCopyRequest copy = await request.ReadJsonAsync<VolumeCopyRequest>() ?? new VolumeCopyRequest();
        Volume volume = await request.Volumes.CopyAsync(request.Parameter, copy, request.Http.RequestAborted);
        await request.WriteJsonAsync(volume, EngineJson.Wire.Volume, StatusCodes.Status201Created);
    }

    public static async Task Rename(ApiRequest request)
    {
        await request.Volumes.RenameAsync(request.Parameter, request.Query["name"], request.Stopping);
        await request.NoContent();
    }

    public static Task Export(ApiRequest request)
    {
        Func<Stream, CancellationToken, Task> write = request.Volumes.Export(request.Parameter);
        request.Response.ContentType = "application/x-tar";
        return write(request.Response.Body, request.Http.RequestAborted);
    }

    public static async Task Prune(ApiRequest request)
    {
        VolumesPruneReport report = await request.Volumes.PruneAsync(request.Query.Filters(), all: request.Version < new ApiVersion(1, 42), request.Stopping);
        await request.WriteJsonAsync(report, EngineJson.Wire.VolumesPruneReport);
    }
}
