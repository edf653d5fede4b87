using System.Buffers;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Telemetry;

/// <summary>
/// A line for each request: time, client, user, method and path, status, bytes, milliseconds. Lines are collected and written by a thread of
/// their own, so that a slow reader of the log slows no request; beyond a bound they are dropped and counted.
/// </summary>
internal sealed class AccessLog : IDisposable
{
    private const int MaximumPending = 4 << 20;
    private const int MaximumLine = 2048;
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);

    private readonly Stream? _output;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly AutoResetEvent _wake = new(initialState: false);
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread? _writer;
    private ArrayBufferWriter<byte> _pending = new();
    private ArrayBufferWriter<byte> _writing = new();
    private long _dropped;

    /// <param name="output">Null: no log.</param>
    public AccessLog(Stream? output, TimeProvider time)
    {
        (_output, _time) = (output, time);
        if (output is not null)
        {
            _writer = new Thread(WriteAll) { IsBackground = true, Name = "registry-log" };
            _writer.Start();
        }
    }

    /// <summary>Lines that were not written.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    public void Write(RequestOutcome outcome, HttpContext context, TimeSpan elapsed)
    {
        if (_output is null)
        {
            return;
        }

        // The query may hold anything a client sends; the path has been decoded, so it may hold control characters.
        HttpRequest request = context.Request;
        string path = request.Path.Value is { } plain && plain.AsSpan().IndexOfAnyInRange('\0', ' ') < 0 ? plain : Uri.EscapeDataString(request.Path.Value ?? "");
        int status = outcome.Abandoned ? 499 : context.Response.StatusCode;
        DateTimeOffset now = _time.GetUtcNow();
        Span<byte> line = stackalloc byte[MaximumLine];
        bool written = System.Text.Unicode.Utf8.TryWrite(
            line,
            CultureInfo.InvariantCulture,
            $"{now:yyyy-MM-ddTHH:mm:ss.fffZ} {context.Connection.RemoteIpAddress} {outcome.User ?? "-"} {Short(request.Method, 16)} {Short(path, 512)} {status} {context.Response.ContentLength ?? 0} {elapsed.TotalMilliseconds:0.###}\n",
            out int length);
        lock (_gate)
        {
            if (!written || _pending.WrittenCount > MaximumPending)
            {
                _dropped++;
                return;
            }

            line[..length].CopyTo(_pending.GetSpan(length));
            _pending.Advance(length);
        }

        _wake.Set();
    }

    /// <summary>Writes what is left.</summary>
    public void Dispose()
    {
        _stop.Set();
        _wake.Set();
        _writer?.Join();
        _wake.Dispose();
        _stop.Dispose();
    }

    private static ReadOnlySpan<char> Short(string text, int length) => text.AsSpan(0, Math.Min(text.Length, length));

    private void WriteAll()
    {
        while (true)
        {
            _wake.WaitOne();
            bool stopping = _stop.IsSet;
            lock (_gate)
            {
                (_pending, _writing) = (_writing, _pending);
            }

            try
            {
                _output!.Write(_writing.WrittenSpan);
                _output.Flush();
            }
            catch (IOException)
            {
                // Whoever read the log has closed it; the registry goes on without.
                Interlocked.Increment(ref _dropped);
            }

            _writing.ResetWrittenCount();
            if (stopping)
            {
                return;
            }

            // Requests come in crowds: one write for many of them.
            _stop.Wait(s_interval);
        }
    }
}
