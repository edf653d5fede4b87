using System.Buffers;
using System.Text;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Server.Http;
using Slipway.Server.Streams;

namespace Slipway.Server.Endpoints;

/// <summary>What goes on for as long as a container does: attach, wait, logs, stats.</summary>
internal static class ContainerStreamEndpoints
{
    /// <summary>Bytes of log lines that are collected before they are sent, where there are more at once.</summary>
    private const int LogBatch = 64 * 1024;

    public static async Task Attach(ApiRequest request)
    {
        await JsonBody.SkipAsync(request.Http.Request, request.Http.RequestAborted);
        QueryParameters query = request.Query;
        DetachKeys keys = DetachKeys.Parse(query["detachKeys"]);
        AttachOptions options = new(query.Flag("stdin"), query.Flag("stdout"), query.Flag("stderr"), query.Flag("logs"), query.Flag("stream"));
        StreamSession session = await request.Engine.Containers.AttachAsync(request.Parameter, options, request.Stopping);
        HijackedStream stream = await OpenAsync(() => HijackedStream.OpenAsync(request, session.Terminal), session);
        await stream.RunAsync(session, keys);
    }

    /// <summary>Attach for those who speak websocket and nothing else, such as browsers.</summary>
    public static async Task AttachWebSocket(ApiRequest request)
    {
        QueryParameters query = request.Query;
        DetachKeys keys = DetachKeys.Parse(query["detachKeys"]);
        byte[] handshake = WebSocketHandshake.Answer(request.Http.Request);

        // Which streams is asked since 1.42; before, it was all of them.
        bool all = request.Version < new ApiVersion(1, 42);
        AttachOptions options = new(all || query.Flag("stdin"), all || query.Flag("stdout"), all || query.Flag("stderr"), query.Flag("logs"), query.Flag("stream"));
        StreamSession session = await request.Engine.Containers.AttachAsync(request.Parameter, options, request.Stopping);
        WebSocketAttachment attachment = await OpenAsync(() => WebSocketAttachment.OpenAsync(request, handshake), session);
        await attachment.RunAsync(session, keys);
    }

    public static async Task Wait(ApiRequest request)
    {
        WaitCondition condition = Condition(request);
        using CancellationTokenSource end = request.WhileClientListens();
        ContainerWait wait = request.Engine.Containers.Wait(request.Parameter, condition, end.Token);

        // Clients wait for this before they start the container.
        await new JsonLines(request).StartAsync(end.Token);
        ContainerWaitResponse exit;
        try
        {
            exit = await wait.Exit.WaitAsync(end.Token);
        }
        catch (EngineException e)
        {
            // The status is out; the answer has a place for it.
            request.Report(e);
            exit = new ContainerWaitResponse(-1) { Error = new WaitError(e.Message) };
        }

        request.Response.BodyWriter.Write(JsonShapes.Serialize(exit, EngineJson.Wire.ContainerWaitResponse, request.Version));
        request.Response.BodyWriter.Write("\n"u8);
        await request.Response.BodyWriter.FlushAsync(end.Token);
    }

    public static async Task Logs(ApiRequest request)
    {
        QueryParameters query = request.Query;
        bool stdout = query.Flag("stdout");
        bool stderr = query.Flag("stderr");
        if (!stdout && !stderr)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "Bad parameters: you must choose at least one stream");
        }

        // Whatever is no number of lines means all of them.
        int tail = int.TryParse(query["tail"], out int lines) && lines >= 0 ? lines : -1;
        LogsOptions options = new(
            stdout, stderr, query.Flag("follow"), query.Flag("timestamps"), query.Flag("details"), query.Time("since"), query.Time("until"), tail);
        using CancellationTokenSource end = request.WhileClientListens();
        LogSession session = await request.Engine.Containers.LogsAsync(request.Parameter, options, end.Token);

        request.Response.ContentType = HijackedStream.ContentType(session.Terminal, request.Version);
        await request.Response.StartAsync(end.Token);
        await request.Response.BodyWriter.FlushAsync(end.Token);
        try
        {
            await WriteLinesAsync(request, session, end.Token);
        }
        catch (Exception e) when (e is EngineException or IOException && !end.IsCancellationRequested)
        {
            request.Report(e);
            Write(request, session, new LogLine(true, Encoding.UTF8.GetBytes($"Error grabbing logs: {e.Message}\n")));
        }

        await request.Response.BodyWriter.FlushAsync(end.Token);
    }

    public static async Task Stats(ApiRequest request)
    {
        QueryParameters query = request.Query;
        StatsOptions options = new(query.All("stream").Count == 0 || query.Flag("stream"), request.Version >= new ApiVersion(1, 41) && query.Flag("one-shot"));
        using CancellationTokenSource end = request.WhileClientListens();
        IAsyncEnumerable<ContainerStats> samples = request.Engine.Containers.Stats(request.Parameter, options, end.Token);
        JsonLines lines = new(request);
        await foreach (ContainerStats sample in samples.WithCancellation(end.Token))
        {
            await lines.WriteAsync(sample, EngineJson.Wire.ContainerStats, "\n"u8.ToArray(), end.Token);
        }
    }

    /// <summary>A connection that does not come about leaves no session.</summary>
    private static async Task<T> OpenAsync<T>(Func<Task<T>> open, StreamSession session)
    {
        try
        {
            return await open();
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    private static async Task WriteLinesAsync(ApiRequest request, LogSession session, CancellationToken cancellationToken)
    {
        await using LookAhead<LogLine> lines = new(session.Lines, cancellationToken);
        int unsent = 0;
        while (true)
        {
            ValueTask<bool> next = lines.MoveNextAsync();
            if (!next.IsCompleted || unsent > LogBatch)
            {
                // Nothing that is there waits for what is not.
                await request.Response.BodyWriter.FlushAsync(cancellationToken);
                unsent = 0;
            }

            if (!await next)
            {
                return;
            }

            Write(request, session, lines.Current);
            unsent += lines.Current.Text.Length;
        }
    }

    private static void Write(ApiRequest request, LogSession session, LogLine line)
    {
        if (!session.Terminal)
        {
            LogFrames.WriteHeader(request.Response.BodyWriter, line.Stderr, line.Text.Length);
        }

        request.Response.BodyWriter.Write(line.Text.Span);
    }

    /// <summary>Conditions came with 1.30; before, waiting was for a container that runs.</summary>
    private static WaitCondition Condition(ApiRequest request) => request.Version < new ApiVersion(1, 30)
        ? WaitCondition.NotRunning
        : request.Query["condition"] switch
        {
            "" or "not-running" => WaitCondition.NotRunning,
            "next-exit" => WaitCondition.NextExit,
            "removed" => WaitCondition.Removed,
            var other => throw new EngineException(ErrorKind.InvalidParameter, $"invalid condition: \"{other}\""),
        };
}
