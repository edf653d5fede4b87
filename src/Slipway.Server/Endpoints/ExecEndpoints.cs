using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Exec;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Server.Http;
using Slipway.Server.Streams;

namespace Slipway.Server.Endpoints;

internal static class ExecEndpoints
{
    public static async Task Create(ApiRequest request)
    {
        ExecCreateRequest body = await request.ReadJsonAsync<ExecCreateRequest>() ?? new ExecCreateRequest();
        if (body.Cmd is null or [])
        {
            throw new EngineException(ErrorKind.InvalidParameter, "No exec command specified");
        }

        if (request.Version < new ApiVersion(1, 42))
        {
            body.ConsoleSize = null;
        }

        string id = await request.Engine.Execs.CreateAsync(request.Parameter, body, request.Stopping);
        await request.WriteJsonAsync(new IdResponse(id), EngineJson.Wire.IdResponse, StatusCodes.Status201Created);
    }

    public static async Task Start(ApiRequest request)
    {
        ExecStartRequest body = await request.ReadJsonAsync<ExecStartRequest>() ?? new ExecStartRequest();
        bool terminal = request.Engine.Execs.HasTerminal(request.Parameter);
        if (request.Version < new ApiVersion(1, 42) || !terminal)
        {
            body.ConsoleSize = null;
        }

        DetachKeys keys = DetachKeys.Parse(request.Engine.Execs.Inspect(request.Parameter).DetachKeys);
        if (body.Detach)
        {
            await request.Engine.Execs.StartAsync(request.Parameter, body, request.Stopping);
            await request.Answer(StatusCodes.Status200OK);
            return;
        }

        // The answer goes out before the process starts, as Docker's does; its output waits until the client has read that.
        HijackedStream stream = await HijackedStream.OpenAsync(request, terminal);
        StreamSession? session;
        try
        {
            session = await request.Engine.Execs.StartAsync(request.Parameter, body, request.Stopping);
        }
        catch (EngineException e)
        {
            // Clients expect the reason on the stream, and the exit code from /json after it.
            await stream.FailAsync(e.Message);
            return;
        }

        await stream.RunAsync(session!, keys);
    }

    public static async Task Resize(ApiRequest request)
    {
        await request.Engine.Execs.ResizeAsync(request.Parameter, request.Query.Size("h"), request.Query.Size("w"), request.Stopping);
        await request.Answer(StatusCodes.Status200OK);
    }

    public static Task Inspect(ApiRequest request) => request.WriteJsonAsync(request.Engine.Execs.Inspect(request.Parameter), EngineJson.Wire.ExecInspect);
}
