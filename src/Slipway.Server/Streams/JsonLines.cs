using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Images;
using Slipway.Server.Http;

namespace Slipway.Server.Streams;

/// <summary>An answer of one JSON document a line, each sent at once.</summary>
/// <param name="holdBack">For how long progress is held back, so that an error that shows early has a status.</param>
internal sealed class JsonLines(ApiRequest request, TimeSpan holdBack)
{
    /// <summary>What is wrong with an archive mostly shows at once.</summary>
    private static readonly TimeSpan s_holdBack = TimeSpan.FromMilliseconds(500);

    private const int MaxHeldBack = 256;

    private static readonly byte[] s_lineEnd = "\r\n"u8.ToArray();

    private readonly List<ProgressMessage> _heldBack = [];
    private readonly long _start = Environment.TickCount64;

    public JsonLines(ApiRequest request)
        : this(request, s_holdBack)
    {
    }

    /// <summary>Sends the status and headers before there is anything to tell, so that the client knows that it is being served.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        request.Response.ContentType = JsonBody.ContentType;
        await request.Response.StartAsync(cancellationToken);
        await request.Response.Body.FlushAsync(cancellationToken);
    }

    /// <param name="lineEnd">Progress messages end in CR LF, as Docker's; others in LF.</param>
    public async ValueTask WriteAsync<T>(T value, JsonTypeInfo<T> type, byte[] lineEnd, CancellationToken cancellationToken)
    {
        if (!request.Response.HasStarted)
        {
            request.Response.ContentType = JsonBody.ContentType;
        }

        request.Response.BodyWriter.Write(JsonShapes.Serialize(value, type, request.Version));
        request.Response.BodyWriter.Write(lineEnd);
        await request.Response.BodyWriter.FlushAsync(cancellationToken);
    }

    /// <summary>
    /// Runs a long operation that reports its progress. An error is an ordinary error answer as long as nothing was
    /// sent; after that it is the last line.
    /// </summary>
    public async Task RunAsync(Func<Func<ProgressMessage, ValueTask>, Task> operation)
    {
        try
        {
            await operation(ReportAsync);
            await ReleaseAsync();
        }
        catch (Exception e) when (request.Response.HasStarted && e is not OperationCanceledException)
        {
            request.Report(e);
            string message = Errors.Describe(e).Message;
            await WriteAsync(new ProgressMessage { Error = message, ErrorDetail = new ErrorResponse(message) });
        }

        if (!request.Response.HasStarted)
        {
            request.Response.ContentType = JsonBody.ContentType;
        }
    }

    private async ValueTask ReportAsync(ProgressMessage message)
    {
        _heldBack.Add(message);
        if (Environment.TickCount64 - _start >= holdBack.TotalMilliseconds || _heldBack.Count > MaxHeldBack)
        {
            await ReleaseAsync();
        }
    }

    private async ValueTask ReleaseAsync()
    {
        foreach (ProgressMessage message in _heldBack)
        {
            await WriteAsync(message);
        }

        _heldBack.Clear();
    }

    private ValueTask WriteAsync(ProgressMessage message) =>
        WriteAsync(message, EngineJson.Wire.ProgressMessage, s_lineEnd, request.Http.RequestAborted);
}
