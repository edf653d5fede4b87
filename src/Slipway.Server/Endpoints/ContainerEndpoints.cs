using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

/// <summary>Containers: their life. Their streams are in <see cref="ContainerStreamEndpoints"/>.</summary>
internal static class ContainerEndpoints
{
    /// <summary>The shortest body of /start that is not empty: old clients send <c>{}</c> or <c>null</c>.</summary>
    private const int MaxEmptyBody = 7;

    private static readonly ContainerCreateRequest s_nothing = new();

    public static Task List(ApiRequest request)
    {
        ContainerListOptions options = new(request.Query.Flag("all"), Math.Max(0, request.Query.Number("limit") ?? 0), request.Query.Flag("size"))
        {
            Filters = request.Query.Filters(),
        };
        IReadOnlyList<ContainerSummary> containers = request.Engine.Containers.List(options);
        return JsonShapes.Has<List<ContainerSummary>>(request.Version)
            ? request.WriteJsonAsync([.. containers], EngineJson.Wire.ListContainerSummary)
            : request.WriteJsonListAsync([.. containers.Select(KeptJson.Of)]);
    }

    public static async Task Create(ApiRequest request)
    {
        bool noBody = request.Http.Request.ContentLength is 0 or null && !request.Http.Request.Headers.ContainsKey("Transfer-Encoding");
        ContainerCreateRequest? body = noBody
            ? throw Invalid("invalid JSON: got EOF while reading request body")
            : await request.ReadJsonAsync<ContainerCreateRequest>();
        if (body is null || body with { HostConfig = null, NetworkingConfig = null } == s_nothing)
        {
            throw Invalid("config cannot be empty in order to create a container");
        }

        OldDefaults.Apply(body, request.Version);
        ContainerCreate create = new(request.Query.Text("name"), request.Query.Text("platform"), body);
        ContainerCreateResponse created = await request.Engine.Containers.CreateAsync(create, request.Stopping);
        await request.WriteJsonAsync(created, EngineJson.Wire.ContainerCreateResponse, StatusCodes.Status201Created);
    }

    public static Task Inspect(ApiRequest request) =>
        request.WriteJsonAsync(request.Engine.Containers.Inspect(request.Parameter, request.Query.Flag("size")), EngineJson.Wire.ContainerInspect);

    public static async Task Top(ApiRequest request)
    {
        ContainerTop top = await request.Engine.Containers.TopAsync(request.Parameter, request.Query.Text("ps_args") ?? "-ef", request.Http.RequestAborted);
        await request.WriteJsonAsync(top, EngineJson.Wire.ContainerTop);
    }

    public static async Task Start(ApiRequest request)
    {
        if (request.Http.Request.ContentLength > MaxEmptyBody || request.Http.Request.Headers.ContainsKey("Transfer-Encoding"))
        {
            throw Invalid("starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24");
        }

        await request.Engine.Containers.StartAsync(request.Parameter, CheckpointEndpoints.OfStart(request), request.Stopping);
        await request.NoContent();
    }

    public static async Task Stop(ApiRequest request)
    {
        await request.Engine.Containers.StopAsync(request.Parameter, request.Query.Number("t"), StopSignal(request), request.Stopping);
        await request.NoContent();
    }

    public static async Task Restart(ApiRequest request)
    {
        await request.Engine.Containers.RestartAsync(request.Parameter, request.Query.Number("t"), StopSignal(request), request.Stopping);
        await request.NoContent();
    }

    public static async Task Kill(ApiRequest request)
    {
        await request.Engine.Containers.KillAsync(request.Parameter, request.Query.Text("signal"), request.Stopping);
        await request.NoContent();
    }

    public static async Task Pause(ApiRequest request)
    {
        await request.Engine.Containers.PauseAsync(request.Parameter, request.Stopping);
        await request.NoContent();
    }

    public static async Task Unpause(ApiRequest request)
    {
        await request.Engine.Containers.UnpauseAsync(request.Parameter, request.Stopping);
        await request.NoContent();
    }

    public static async Task Rename(ApiRequest request)
    {
        await request.Engine.Containers.RenameAsync(request.Parameter, request.Query["name"], request.Stopping);
        await request.NoContent();
    }

    public static async Task Update(ApiRequest request)
    {
        ContainerUpdateRequest change = await request.ReadJsonAsync<ContainerUpdateRequest>() ?? new ContainerUpdateRequest();
        if (request.Version < new ApiVersion(1, 40))
        {
            change.PidsLimit = null;
        }

        // No kernel of today has this limit; dockerd takes it and passes it over since 1.42.
        change.KernelMemory = request.Version < new ApiVersion(1, 42) ? change.KernelMemory : 0;
        ContainerUpdateResponse updated = await request.Engine.Containers.UpdateAsync(request.Parameter, change, request.Stopping);
        await request.WriteJsonAsync(updated, EngineJson.Wire.ContainerUpdateResponse);
    }

    public static async Task Resize(ApiRequest request)
    {
        await request.Engine.Containers.ResizeAsync(request.Parameter, request.Query.Size("h"), request.Query.Size("w"), request.Stopping);
        await request.Answer(StatusCodes.Status200OK);
    }

    public static async Task Remove(ApiRequest request)
    {
        ContainerRemoveOptions options = new(request.Query.Flag("force"), request.Query.Flag("v"), request.Query.Flag("link"));
        await request.Engine.Containers.RemoveAsync(request.Parameter, options, request.Stopping);
        await request.NoContent();
    }

    public static async Task Prune(ApiRequest request) =>
        await request.WriteJsonAsync(await request.Engine.Containers.PruneAsync(request.Query.Filters(), request.Stopping), EngineJson.Wire.ContainersPruneReport);

    /// <summary>Slipway's own: the system calls that start the container, as text.</summary>
    public static async Task Explain(ApiRequest request)
    {
        string plan = await request.Engine.Containers.ExplainAsync(request.Parameter, request.Http.RequestAborted);
        request.Response.ContentType = "text/plain; charset=utf-8";
        await request.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(plan));
    }

    /// <summary>Since 1.42.</summary>
    private static string? StopSignal(ApiRequest request) => request.Version >= new ApiVersion(1, 42) ? request.Query.Text("signal") : null;

    private static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);
}
