using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

/// <summary>Checkpoints of containers: with an engine whose experimental features are on, as in Docker.</summary>
internal static class CheckpointEndpoints
{
    public static async Task Create(ApiRequest request)
    {
        RequireExperimental(request);
        CheckpointCreateRequest body = await request.ReadJsonAsync<CheckpointCreateRequest>()
            ?? throw new EngineException(ErrorKind.InvalidParameter, "invalid JSON: got EOF while reading request body");
        await request.Engine.Containers.CheckpointAsync(request.Parameter, new CheckpointName(body.CheckpointID, Directory(body.CheckpointDir)), !body.Exit, request.Stopping);
        request.Response.StatusCode = StatusCodes.Status201Created;
        request.Response.ContentLength = 0;
    }

    public static Task List(ApiRequest request)
    {
        RequireExperimental(request);
        IReadOnlyList<string> names = request.Engine.Containers.ListCheckpoints(request.Parameter, Directory(request, "dir"));
        return request.WriteJsonAsync([.. names.Select(name => new CheckpointSummary(name))], EngineJson.Wire.ListCheckpointSummary);
    }

    public static async Task Remove(ApiRequest request)
    {
        RequireExperimental(request);
        string path = EngineApplication.DecodedPath(request.Http.Request);
        CheckpointName checkpoint = new(path[(path.LastIndexOf('/') + 1)..], Directory(request, "dir"));
        await request.Engine.Containers.RemoveCheckpointAsync(request.Parameter, checkpoint, request.Stopping);
        await request.NoContent();
    }

    /// <summary>What a start is to go on from; null: from the beginning.</summary>
    public static CheckpointName? OfStart(ApiRequest request)
    {
        string? name = request.Query.Text("checkpoint");
        string? directory = Directory(request, "checkpoint-dir");
        return name is null && directory is null ? null
            : !request.Engine.Daemon.IsExperimental ? throw new EngineException(ErrorKind.InvalidParameter, "checkpoint is only supported in experimental mode")
            : new CheckpointName(name ?? "", directory);
    }

    /// <summary>A directory of the host is an option that policies of sockets know.</summary>
    private static string? Directory(ApiRequest request, string parameter)
    {
        string? directory = Directory(request.Query.Text(parameter));
        if (directory is not null)
        {
            request.Authorization.AdmitBody(new CheckpointCreateRequest { CheckpointDir = directory });
        }

        return directory;
    }

    private static string? Directory(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private static void RequireExperimental(ApiRequest request)
    {
        if (!request.Engine.Daemon.IsExperimental)
        {
            throw new EngineException(
                ErrorKind.NotImplemented, "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.");
        }
    }
}
