using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Slipway.Server.Http;

namespace Slipway.Server.Authorization.Plugins;

/// <summary>
/// The answer of a request that plugins decide on. Nothing of it is sent before they have seen its status and headers; JSON that is whole when it is written
/// they see too. What goes on (logs, events, archives) they see the beginning of, as there is no taking back what was sent.
/// </summary>
internal sealed class GuardedAnswer : Stream, IHttpResponseBodyFeature
{
    /// <summary>Answers of JSON that do not say how long they are.</summary>
    private const int MaxUnmeasured = 64 * 1024;

    /// <summary>Those that do.</summary>
    private const int MaxMeasured = 4 * 1024 * 1024;

    private readonly PluginAuthorization _authorization;
    private readonly HttpContext _http;
    private readonly IHttpResponseBodyFeature _sent;
    private readonly ArrayBufferWriter<byte> _kept = new();
    private readonly HashSet<string> _headers;
    private PipeWriter? _writer;
    private bool _judged;
    private bool _ending;

    public GuardedAnswer(PluginAuthorization authorization, HttpContext http)
    {
        (_authorization, _http) = (authorization, http);
        _sent = http.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
        _headers = [.. http.Response.Headers.Keys];
    }

    Stream IHttpResponseBodyFeature.Stream => this;

    /// <summary>The HTTP server's own once nothing is held back: one over a stream does not flush where there is nothing to write.</summary>
    public PipeWriter Writer => _judged && _writer is not { UnflushedBytes: > 0 } ? _sent.Writer : _writer ??= PipeWriter.Create(this, new StreamPipeWriterOptions(leaveOpen: true));

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <summary>Asks the plugins, if they have not been asked: from here on the answer goes out as it comes.</summary>
    /// <param name="status">Of an answer that the HTTP server does not write.</param>
    public async Task JudgeAsync(int? status = null, bool whole = false)
    {
        if (_judged)
        {
            return;
        }

        _judged = true;
        try
        {
            await _authorization.AdmitAnswerAsync(status ?? _http.Response.StatusCode, whole && IsJson ? _kept.WrittenSpan.ToArray() : null);
        }
        catch
        {
            Discard();
            throw;
        }
    }

    /// <summary>The end of an answer that the HTTP server writes.</summary>
    public async Task FinishAsync()
    {
        _ending = true;
        if (_writer is not null)
        {
            await _writer.FlushAsync(_http.RequestAborted);
        }

        await JudgeAsync(status: null, whole: true);
        await SendKeptAsync(_http.RequestAborted);
    }

    /// <summary>Forgets what was written and not sent, its headers too.</summary>
    public void Discard()
    {
        _kept.ResetWrittenCount();
        _writer = null;
        if (!_http.Response.HasStarted)
        {
            foreach (string header in _http.Response.Headers.Keys.Where(name => !_headers.Contains(name)).ToList())
            {
                _http.Response.Headers.Remove(header);
            }
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        await JudgeAsync();
        await _sent.StartAsync(cancellationToken);
        await SendKeptAsync(cancellationToken);
    }

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
        SendFileFallback.SendFileAsync(this, path, offset, count, cancellationToken);

    public async Task CompleteAsync()
    {
        await FinishAsync();
        await _sent.CompleteAsync();
    }

    public void DisableBuffering() => _sent.DisableBuffering();

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_judged && IsJson && _kept.WrittenCount + buffer.Length <= (_http.Response.ContentLength is null ? MaxUnmeasured : MaxMeasured))
        {
            _kept.Write(buffer.Span);
            return;
        }

        await JudgeAsync();
        await SendKeptAsync(cancellationToken);
        await _sent.Stream.WriteAsync(buffer, cancellationToken);
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        // A flush says that what was written has to go out now; the one at the end has nobody waiting.
        if (!_ending)
        {
            await JudgeAsync();
            await SendKeptAsync(cancellationToken);
            await _sent.Stream.FlushAsync(cancellationToken);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("answers are written asynchronously");

    public override void Flush() => throw new NotSupportedException("answers are written asynchronously");

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private bool IsJson => _http.Response.ContentType?.StartsWith(JsonBody.ContentType, StringComparison.OrdinalIgnoreCase) == true;

    private async Task SendKeptAsync(CancellationToken cancellationToken)
    {
        if (_kept.WrittenCount > 0)
        {
            byte[] kept = _kept.WrittenSpan.ToArray();
            _kept.ResetWrittenCount();
            await _sent.Stream.WriteAsync(kept, cancellationToken);
        }
    }
}
