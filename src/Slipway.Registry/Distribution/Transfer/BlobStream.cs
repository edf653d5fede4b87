using System.Net.Http.Headers;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution.Transfer;

/// <summary>
/// The bytes of a blob, whatever happens to the connections they come over: what breaks is resumed where it broke, by a range request or by
/// skipping, and a source that fails for good is replaced by the next. Gives exactly the descriptor's number of bytes, or fails.
/// Read asynchronously only.
/// </summary>
internal sealed class BlobStream : Stream
{
    /// <summary>Less than this between two interruptions is no progress: a source that sends single bytes would never be given up.</summary>
    private const int Progress = 64 << 10;

    private readonly IReadOnlyList<IBlobSource> _sources;
    private readonly Descriptor _blob;
    private readonly TimeProvider _clock;
    private CancellationTokenSource _idle;
    private int _source;
    private BlobBody? _body;
    private EntityTagHeaderValue? _entityTag;
    private long _position;
    private long _openedAt;
    private int _failures;

    private BlobStream(IReadOnlyList<IBlobSource> sources, Descriptor blob, long offset, TimeProvider clock)
    {
        (_sources, _blob, _position, _clock) = (sources, blob, offset, clock);
        _idle = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
    }

    /// <summary>Opens the blob at the first source that has it.</summary>
    /// <exception cref="RegistryException">Of the last source, when all have failed.</exception>
    public static async Task<BlobStream> OpenAsync(
        IReadOnlyList<IBlobSource> sources, Descriptor blob, long offset, TimeProvider clock, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, blob.Size);
        var stream = new BlobStream(sources, blob, offset, clock);
        try
        {
            if (offset < blob.Size || blob.Size == 0)
            {
                await stream.ConnectAsync(cancellationToken).ConfigureAwait(false);
            }

            return stream;
        }
        catch
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    /// <summary>Of the whole blob.</summary>
    public override long Length => _blob.Size;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.Length == 0 || _position == _blob.Size)
        {
            return 0;
        }

        while (true)
        {
            if (_body is null)
            {
                await ConnectAsync(cancellationToken).ConfigureAwait(false);
            }

            Exception? failure = null;
            try
            {
                var wanted = (int)Math.Min(buffer.Length, _blob.Size - _position);
                var read = await ReadBodyAsync(buffer[..wanted], cancellationToken).ConfigureAwait(false);
                if (read > 0)
                {
                    _position += read;
                    await CheckEndAsync(cancellationToken).ConfigureAwait(false);
                    return read;
                }
            }
            catch (Exception error) when (IsInterruption(error, cancellationToken))
            {
                failure = error;
            }

            await InterruptAsync(failure, cancellationToken).ConfigureAwait(false);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("a blob is read asynchronously");

    public override async ValueTask DisposeAsync()
    {
        await CloseAsync().ConfigureAwait(false);
        _idle.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _body?.Answer.Dispose();
            _idle.Dispose();
        }

        base.Dispose(disposing);
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <summary>Opens the current source at the current position, or one of the next.</summary>
    private async Task ConnectAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var source = _sources[_source];
                _body = await source.OpenAsync(_blob, _position, _entityTag, cancellationToken).ConfigureAwait(false);
                _entityTag = _body.EntityTag is { IsWeak: false } tag ? tag : null;
                _openedAt = _position;
                await SkipAsync(_position - _body.Start, cancellationToken).ConfigureAwait(false);
                if (_blob.Size == 0)
                {
                    await CheckEndAsync(cancellationToken).ConfigureAwait(false);
                }

                return;
            }
            catch (Exception error) when (IsInterruption(error, cancellationToken))
            {
                await InterruptAsync(error, cancellationToken).ConfigureAwait(false);
            }
            catch (RegistryException) when (_source < _sources.Count - 1)
            {
                await NextSourceAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>A source without ranges begins at the start.</summary>
    private async Task SkipAsync(long count, CancellationToken cancellationToken)
    {
        var buffer = new byte[Math.Min(count, 64 << 10)];
        while (count > 0)
        {
            var read = await ReadBodyAsync(buffer.AsMemory(0, (int)Math.Min(count, buffer.Length)), cancellationToken).ConfigureAwait(false);
            count -= read > 0 ? read : throw new EndOfStreamException();
        }
    }

    private async ValueTask<int> ReadBodyAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var read = _body!.Content.ReadAsync(buffer, _idle.Token);
        if (read.IsCompletedSuccessfully)
        {
            return read.Result;
        }

        _idle.CancelAfter(_sources[_source].Sender.Retry.IdleTimeout);
        var registration = cancellationToken.UnsafeRegister(static idle => ((CancellationTokenSource)idle!).Cancel(), _idle);
        await using (registration.ConfigureAwait(false))
        {
            try
            {
                return await read.ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                throw;
            }
            finally
            {
                _idle.CancelAfter(Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>After the last byte nothing may come. Where the length was announced, nothing can.</summary>
    private async Task CheckEndAsync(CancellationToken cancellationToken)
    {
        if (_position < _blob.Size || _body!.IsBounded)
        {
            return;
        }

        try
        {
            if (await ReadBodyAsync(new byte[1], cancellationToken).ConfigureAwait(false) == 0)
            {
                return;
            }
        }
        catch (Exception error) when (IsInterruption(error, cancellationToken))
        {
            return;
        }

        throw new RegistryException(RegistryErrorKind.Invalid, $"blob {_blob.Digest} should have {_blob.Size} bytes, but {_sources[_source].Name} sends more: refused");
    }

    /// <summary>The body broke off before its end. Waits and returns to try again, with the next source where this one gets nowhere.</summary>
    private async Task InterruptAsync(Exception? failure, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await CloseAsync().ConfigureAwait(false);
        if (_idle.IsCancellationRequested)
        {
            _idle.Dispose();
            _idle = new CancellationTokenSource(Timeout.InfiniteTimeSpan, _clock);
        }

        _failures = _position - _openedAt >= Progress ? 1 : _failures + 1;
        var sender = _sources[_source].Sender;
        if (_failures < sender.Retry.Attempts)
        {
            await sender.WaitAsync(_failures, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (_source < _sources.Count - 1)
        {
            await NextSourceAsync().ConfigureAwait(false);
            return;
        }

        throw failure is null
            ? new RegistryException(RegistryErrorKind.Invalid, $"blob {_blob.Digest} should have {_blob.Size} bytes, but {_sources[_source].Name} ends after {_position}")
            : new RegistryException(RegistryErrorKind.Unavailable, $"blob {_blob.Digest}: {_sources[_source].Name}: unexpected EOF after {_position} of {_blob.Size} bytes", failure);
    }

    private async Task NextSourceAsync()
    {
        await CloseAsync().ConfigureAwait(false);
        (_source, _failures, _entityTag) = (_source + 1, 0, null);
    }

    private async ValueTask CloseAsync()
    {
        var body = _body;
        _body = null;
        if (body is not null)
        {
            await body.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static bool IsInterruption(Exception error, CancellationToken cancellationToken) =>
        error is IOException or HttpRequestException || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested);
}
