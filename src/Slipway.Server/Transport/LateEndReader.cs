using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Slipway.Server.Transport;

/// <summary>
/// What a client sends, and its end only to who has looked at all that came before. The HTTP server takes an end that shows together with a body of a known length for
/// the middle of that body and gives the connection up without an answer, though all of the body be there; whether it shows together is a race with a client
/// that half-closes right behind its request.
/// </summary>
internal sealed class LateEndReader(PipeReader reader) : PipeReader
{
    private ReadOnlySequence<byte> _shown;

    /// <summary>Bytes at the front that were looked at and not taken.</summary>
    private long _seen;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        ValueTask<ReadResult> read = reader.ReadAsync(cancellationToken);
        return read.IsCompletedSuccessfully ? new ValueTask<ReadResult>(Show(read.Result)) : ShowLaterAsync(read);
    }

    public override bool TryRead(out ReadResult result)
    {
        bool read = reader.TryRead(out result);
        result = read ? Show(result) : result;
        return read;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        _seen = _shown.Slice(consumed, examined).Length;
        _shown = default;
        reader.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => reader.CancelPendingRead();

    public override void Complete(Exception? exception = null) => reader.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => reader.CompleteAsync(exception);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> ShowLaterAsync(ValueTask<ReadResult> read) => Show(await read.ConfigureAwait(false));

    private ReadResult Show(in ReadResult result)
    {
        _shown = result.Buffer;
        return result.IsCompleted && result.Buffer.Length > _seen ? new ReadResult(result.Buffer, result.IsCanceled, isCompleted: false) : result;
    }
}
