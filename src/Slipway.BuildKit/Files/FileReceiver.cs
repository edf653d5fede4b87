using System.Collections.Concurrent;
using System.Threading.Channels;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Storage.Threading;

namespace Slipway.BuildKit.Files;

/// <summary>
/// The receiving side of fsutil's protocol: the sender lists all files, we ask for the content of some, it sends them in any order, and both say that they have
/// finished. A thread of its own writes what comes, a few packets behind.
/// </summary>
internal sealed class FileReceiver : IDisposable
{
    private const int Ahead = 64;

    private readonly TreeWriter _writer;
    private readonly Action<long> _progress;
    private readonly CancellationTokenSource _end;
    private readonly SemaphoreSlim _free = new(Ahead);
    private readonly SemaphoreSlim _filled = new(0);
    private readonly ConcurrentQueue<FilePacket> _packets = new();
    private readonly Channel<uint> _requests = Channel.CreateUnbounded<uint>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    private FileReceiver(TreeWriter writer, Action<long> progress, CancellationToken cancellationToken)
    {
        (_writer, _progress) = (writer, progress);
        _end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
    }

    /// <summary>Brings the tree to what the sender has.</summary>
    /// <param name="open">Makes the call, which ends with its token.</param>
    /// <param name="progress">Told of the bytes of each packet, in order, from one thread.</param>
    /// <exception cref="GrpcException">The sender's error, or a sender that breaks the protocol.</exception>
    public static async Task ReceiveAsync(
        Func<CancellationToken, Task<GrpcStream<FilePacket>>> open, TreeWriter writer, Action<long> progress, CancellationToken cancellationToken)
    {
        using FileReceiver receiver = new(writer, progress, cancellationToken);
        await using GrpcStream<FilePacket> stream = await open(receiver._end.Token);
        Task<bool> applying = WorkerThread.RunAsync("context-sync", receiver.Apply);
        Task asking = receiver.AskAsync(stream);
        Task reading = receiver.ReadAsync(stream);
        try
        {
            // Whatever fails first ends the others, and is what is told.
            foreach (Task task in new[] { applying, asking, reading })
            {
                _ = task.ContinueWith(static (_, end) => ((CancellationTokenSource)end!).Cancel(), receiver._end, CancellationToken.None,
                    TaskContinuationOptions.NotOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }

            await Task.WhenAll(applying, asking, reading);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Exception? cause = new Task[] { applying, asking, reading }.Select(task => task.Exception?.InnerException).OfType<Exception>().FirstOrDefault();
            throw cause ?? new GrpcException(GrpcStatusCode.Cancelled, "the transfer was cancelled");
        }
    }

    public void Dispose()
    {
        _end.Dispose();
        _free.Dispose();
        _filled.Dispose();
    }

    private async Task ReadAsync(GrpcStream<FilePacket> stream)
    {
        while (true)
        {
            FilePacket packet = await stream.ReadAsync() ?? throw new GrpcException(GrpcStatusCode.DataLoss, "the client ended a transfer before it had finished");
            await _free.WaitAsync(_end.Token);
            _packets.Enqueue(packet);
            _filled.Release();
            if (packet.Kind == FilePacket.Types.Kind.Finished)
            {
                break;
            }
        }

        await stream.CompleteAsync();
        while (await stream.ReadAsync() is not null)
        {
        }
    }

    private async Task AskAsync(GrpcStream<FilePacket> stream)
    {
        await foreach (uint id in _requests.Reader.ReadAllAsync(_end.Token))
        {
            await stream.WriteAsync(new FilePacket { Kind = FilePacket.Types.Kind.Request, Id = id });
        }

        await stream.WriteAsync(new FilePacket { Kind = FilePacket.Types.Kind.Finished });
    }

    private bool Apply()
    {
        bool listing = true;
        while (true)
        {
            FilePacket packet = Next();
            _progress(packet.CalculateSize());
            switch (packet.Kind)
            {
                case FilePacket.Types.Kind.Stat when packet.Stat is null && listing:
                    listing = false;
                    _writer.EndListing();
                    break;
                case FilePacket.Types.Kind.Stat when listing && packet.Stat is not null:
                    if (_writer.List(packet.Stat) is { } id)
                    {
                        _requests.Writer.TryWrite(id);
                    }

                    break;
                case FilePacket.Types.Kind.Data:
                    _writer.Receive(packet.Id, packet.Data.Span);
                    break;
                case FilePacket.Types.Kind.Failed:
                    throw new GrpcException(GrpcStatusCode.Unknown, $"error from sender: {packet.Data.ToStringUtf8()}");
                case FilePacket.Types.Kind.Finished when !listing && !_writer.IsWaiting:
                    _writer.Finish();
                    return true;
                default:
                    throw new GrpcException(GrpcStatusCode.InvalidArgument, $"a packet of kind {(int)packet.Kind} came out of turn");
            }

            if (!listing && !_writer.IsWaiting)
            {
                _requests.Writer.TryComplete();
            }
        }
    }

    private FilePacket Next()
    {
        _filled.Wait(_end.Token);
        _packets.TryDequeue(out FilePacket? packet);
        _free.Release();
        return packet!;
    }
}
