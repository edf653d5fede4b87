using System.Threading.Channels;
using Slipway.Api.Images;

namespace Slipway.Engine.Images.Progress;

/// <summary>
/// The lines that a pull or push tells its client. Nobody who reports waits for the client: what changed is told in order and
/// completely, amounts of bytes are told as they are at the moment of writing, so that a slow client gets fewer of them and
/// what is kept for it stays bounded by the number of layers.
/// </summary>
internal sealed class TransferProgress
{
    /// <summary>How often one layer tells its amount.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Func<ProgressMessage>> _lines = Channel.CreateUnbounded<Func<ProgressMessage>>(new UnboundedChannelOptions { SingleReader = true });

    private TransferProgress(TimeProvider time) => Time = time;

    internal TimeProvider Time { get; }

    /// <summary>Runs a transfer and writes what it reports; all is written when this returns. A client that is gone cancels the transfer.</summary>
    public static async Task RunAsync(
        Func<ProgressMessage, ValueTask> write, TimeProvider time, Func<TransferProgress, CancellationToken, Task> transfer, CancellationToken cancellationToken)
    {
        TransferProgress progress = new(time);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task writing = progress.WriteAsync(write, end);
        try
        {
            await transfer(progress, end.Token);
        }
        finally
        {
            progress._lines.Writer.TryComplete();
            await writing;
        }
    }

    /// <summary>A line about the transfer as a whole, or about <paramref name="id"/>.</summary>
    public void Say(string status, string? id = null) => Say(new ProgressMessage { Status = status, Id = id });

    public void Say(ProgressMessage message) => Say(() => message);

    /// <param name="line">Asked for its text when it is written.</param>
    public void Say(Func<ProgressMessage> line) => _lines.Writer.TryWrite(line);

    /// <summary>The line of a layer.</summary>
    /// <param name="id">Its short digest.</param>
    public ProgressLine Line(string id) => new(this, id);

    private async Task WriteAsync(Func<ProgressMessage, ValueTask> write, CancellationTokenSource end)
    {
        try
        {
            await foreach (Func<ProgressMessage> line in _lines.Reader.ReadAllAsync())
            {
                await write(line());
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            _lines.Writer.TryComplete();
            await end.CancelAsync();
        }
    }
}
