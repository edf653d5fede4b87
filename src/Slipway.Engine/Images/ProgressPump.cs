using System.Threading.Channels;
using Slipway.Api.Images;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images;

/// <summary>
/// Carries progress from the store, which does not wait, to a client, which may be slow: reports it cannot keep up with are
/// left out, the oldest first, and a client that is gone ends the operation.
/// </summary>
internal static class ProgressPump
{
    private const int Capacity = 16;

    /// <summary>Runs an operation and passes its progress on; all of it was passed on when this returns.</summary>
    public static async Task<T> RunAsync<T>(
        Func<ProgressMessage, ValueTask>? progress, Func<IProgress<ImageProgress>?, CancellationToken, Task<T>> operation, CancellationToken cancellationToken)
    {
        if (progress is null)
        {
            return await operation(null, cancellationToken);
        }

        Channel<ImageProgress> reports = Channel.CreateBounded<ImageProgress>(
            new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task pumping = PumpAsync(reports.Reader, progress, end);
        try
        {
            return await operation(new Reports(reports.Writer), end.Token);
        }
        finally
        {
            reports.Writer.TryComplete();
            await pumping;
        }
    }

    private static async Task PumpAsync(ChannelReader<ImageProgress> reports, Func<ProgressMessage, ValueTask> progress, CancellationTokenSource end)
    {
        try
        {
            await foreach (ImageProgress report in reports.ReadAllAsync())
            {
                await progress(new ProgressMessage
                {
                    Status = report.Action,
                    Id = report.Id,
                    ProgressDetail = new ProgressDetail { Current = report.Current, Total = report.Total },
                });
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            await end.CancelAsync();
        }
    }

    private sealed class Reports(ChannelWriter<ImageProgress> writer) : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value) => writer.TryWrite(value);
    }
}
