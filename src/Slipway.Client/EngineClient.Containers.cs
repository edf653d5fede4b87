using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Exec;

namespace Slipway.Client;

/// <summary>Containers and execs.</summary>
public sealed partial class EngineClient
{
    public Task<ContainerCreateResponse> CreateContainerAsync(string? name, string? platform, ContainerCreateRequest request, CancellationToken cancellationToken) =>
        PostAsync(new Query("/containers/create").Add("name", name).Add("platform", platform).ToString(), request,
            EngineJson.Wire.ContainerCreateRequest, EngineJson.Wire.ContainerCreateResponse, cancellationToken);

    public Task<List<ContainerSummary>> ListContainersAsync(bool all, int? limit, bool size, IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        GetAsync(new Query("/containers/json").Add("all", all).Add("limit", limit).Add("size", size).Add(filters).ToString(),
            EngineJson.Wire.ListContainerSummary, cancellationToken);

    public Task<ContainerInspect> InspectContainerAsync(string container, CancellationToken cancellationToken) =>
        GetAsync($"/containers/{Segment(container)}/json", EngineJson.Wire.ContainerInspect, cancellationToken);

    /// <summary>The answer as the engine wrote it.</summary>
    public Task<byte[]> InspectContainerRawAsync(string container, bool size, CancellationToken cancellationToken) =>
        GetBytesAsync(new Query($"/containers/{Segment(container)}/json").Add("size", size).ToString(), cancellationToken);

    /// <summary>False where it ran already.</summary>
    public Task<bool> StartContainerAsync(string container, CancellationToken cancellationToken) =>
        CommandAsync($"/containers/{Segment(container)}/start", cancellationToken);

    public Task<bool> StopContainerAsync(string container, int? timeoutSeconds, string? signal, CancellationToken cancellationToken) =>
        CommandAsync(new Query($"/containers/{Segment(container)}/stop").Add("t", timeoutSeconds).Add("signal", signal).ToString(), cancellationToken);

    public Task RestartContainerAsync(string container, int? timeoutSeconds, string? signal, CancellationToken cancellationToken) =>
        CommandAsync(new Query($"/containers/{Segment(container)}/restart").Add("t", timeoutSeconds).Add("signal", signal).ToString(), cancellationToken);

    public Task KillContainerAsync(string container, string? signal, CancellationToken cancellationToken) =>
        CommandAsync(new Query($"/containers/{Segment(container)}/kill").Add("signal", signal).ToString(), cancellationToken);

    public Task PauseContainerAsync(string container, CancellationToken cancellationToken) =>
        CommandAsync($"/containers/{Segment(container)}/pause", cancellationToken);

    public Task UnpauseContainerAsync(string container, CancellationToken cancellationToken) =>
        CommandAsync($"/containers/{Segment(container)}/unpause", cancellationToken);

    public Task RenameContainerAsync(string container, string newName, CancellationToken cancellationToken) =>
        CommandAsync(new Query($"/containers/{Segment(container)}/rename").Add("name", newName).ToString(), cancellationToken);

    public Task<ContainerUpdateResponse> UpdateContainerAsync(string container, ContainerUpdateRequest request, CancellationToken cancellationToken) =>
        PostAsync($"/containers/{Segment(container)}/update", request, EngineJson.Wire.ContainerUpdateRequest, EngineJson.Wire.ContainerUpdateResponse, cancellationToken);

    public Task RemoveContainerAsync(string container, bool force, bool volumes, bool link, CancellationToken cancellationToken) =>
        CommandAsync(HttpMethod.Delete, new Query($"/containers/{Segment(container)}").Add("force", force).Add("v", volumes).Add("link", link).ToString(), null, cancellationToken);

    public Task<ContainerTop> TopAsync(string container, string? psArguments, CancellationToken cancellationToken) =>
        GetAsync(new Query($"/containers/{Segment(container)}/top").Add("ps_args", psArguments).ToString(), EngineJson.Wire.ContainerTop, cancellationToken);

    /// <summary>Begins to wait; the outer task completes once the engine has registered the wait, the inner one at the exit.</summary>
    /// <param name="condition">not-running, next-exit or removed.</param>
    public async Task<Task<ContainerWaitResponse>> WaitContainerAsync(string container, string condition, CancellationToken cancellationToken)
    {
        HttpResponseMessage response = await SendAsync(HttpMethod.Post,
            new Query($"/containers/{Segment(container)}/wait").Add("condition", condition).ToString(), null, cancellationToken).ConfigureAwait(false);
        return AnswerAsync();

        async Task<ContainerWaitResponse> AnswerAsync()
        {
            using (response)
            {
                return await ReadAsync(response, EngineJson.Wire.ContainerWaitResponse, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    public Task<HijackedStream> AttachContainerAsync(string container, bool stdin, bool stdout, bool stderr, bool logs, string? detachKeys, CancellationToken cancellationToken) =>
        HijackAsync(new Query($"/containers/{Segment(container)}/attach").Add("stream", true).Add("stdin", stdin).Add("stdout", stdout)
            .Add("stderr", stderr).Add("logs", logs).Add("detachKeys", detachKeys).ToString(), null, cancellationToken);

    /// <param name="path"><c>/containers/ID</c> or <c>/exec/ID</c>.</param>
    private Task<bool> ResizeAsync(string path, int rows, int columns, CancellationToken cancellationToken) =>
        CommandAsync(new Query(path + "/resize").Add("h", (int?)rows).Add("w", (int?)columns).ToString(), cancellationToken);

    public Task ResizeContainerAsync(string container, int rows, int columns, CancellationToken cancellationToken) =>
        ResizeAsync($"/containers/{Segment(container)}", rows, columns, cancellationToken);

    public Task ResizeExecAsync(string exec, int rows, int columns, CancellationToken cancellationToken) =>
        ResizeAsync($"/exec/{Segment(exec)}", rows, columns, cancellationToken);

    /// <summary>Copies logs to two streams (one, raw, where the container has a terminal) until they end.</summary>
    public async Task LogsAsync(string container, LogsQuery query, bool terminal, Stream stdout, Stream stderr, CancellationToken cancellationToken)
    {
        string path = new Query($"/containers/{Segment(container)}/logs").Add("stdout", true).Add("stderr", true).Add("follow", query.Follow)
            .Add("timestamps", query.Timestamps).Add("details", query.Details).Add("since", query.Since).Add("until", query.Until).Add("tail", query.Tail).ToString();
        using HttpResponseMessage response = await SendAsync(HttpMethod.Get, path, null, cancellationToken).ConfigureAwait(false);
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            if (terminal)
            {
                await body.CopyToAsync(stdout, cancellationToken).ConfigureAwait(false);
                return;
            }

            await MultiplexedFrames.CopyAsync(body.ReadAsync, stdout, stderr, new byte[32 * 1024], cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The plan that starts a container, as text.</summary>
    public async Task<string> ExplainContainerAsync(string container, CancellationToken cancellationToken) =>
        global::System.Text.Encoding.UTF8.GetString(await GetBytesAsync($"/slipway/containers/{Segment(container)}/explain", cancellationToken).ConfigureAwait(false));

    public async Task<string> CreateExecAsync(string container, ExecCreateRequest request, CancellationToken cancellationToken) =>
        (await PostAsync($"/containers/{Segment(container)}/exec", request, EngineJson.Wire.ExecCreateRequest, EngineJson.Wire.IdResponse, cancellationToken).ConfigureAwait(false)).Id;

    public Task<HijackedStream> StartExecAsync(string exec, bool terminal, CancellationToken cancellationToken) =>
        HijackAsync($"/exec/{Segment(exec)}/start", global::System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(
            new ExecStartRequest { Tty = terminal }, EngineJson.Wire.ExecStartRequest), cancellationToken);

    public async Task StartExecDetachedAsync(string exec, CancellationToken cancellationToken)
    {
        using ByteArrayContent content = Json(new ExecStartRequest { Detach = true }, EngineJson.Wire.ExecStartRequest);
        await CommandAsync(HttpMethod.Post, $"/exec/{Segment(exec)}/start", content, cancellationToken).ConfigureAwait(false);
    }

    public Task<ExecInspect> InspectExecAsync(string exec, CancellationToken cancellationToken) =>
        GetAsync($"/exec/{Segment(exec)}/json", EngineJson.Wire.ExecInspect, cancellationToken);
}

/// <summary>Which log lines, and how.</summary>
/// <param name="Since">Seconds since 1970 with decimals, or RFC 3339.</param>
/// <param name="Tail">A number, or <c>all</c>.</param>
public sealed record LogsQuery(bool Follow, bool Timestamps, bool Details, string? Since, string? Until, string? Tail);
