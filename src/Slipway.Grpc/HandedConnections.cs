using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Slipway.Grpc;

/// <summary>A listener whose connections are handed to it within the process.</summary>
internal sealed class HandedConnections : IConnectionListenerFactory, IConnectionListener
{
    /// <summary>Nobody can connect to it: it names the listener to the HTTP server.</summary>
    public static readonly EndPoint EndPoint = new DnsEndPoint("handed.invalid", 1);

    private readonly Channel<ConnectionContext> _waiting = Channel.CreateUnbounded<ConnectionContext>();

    EndPoint IConnectionListener.EndPoint => EndPoint;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => ValueTask.FromResult<IConnectionListener>(this);

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
        await _waiting.Reader.WaitToReadAsync(cancellationToken) && _waiting.Reader.TryRead(out ConnectionContext? connection) ? connection : null;

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _waiting.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => UnbindAsync();

    /// <summary>Has a connection served, and waits for its end.</summary>
    public async Task HandAsync(IDuplexPipe transport, IFeatureCollection features, CancellationToken closed)
    {
        HandedConnection connection = new(transport, features, closed);
        if (_waiting.Writer.TryWrite(connection))
        {
            await connection.Ended;
        }
    }

    private sealed class HandedConnection : ConnectionContext, IConnectionIdFeature, IConnectionTransportFeature, IConnectionItemsFeature, IConnectionLifetimeFeature, IMemoryPoolFeature
    {
        private static long s_lastId;

        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly CancellationTokenSource _closed;

        public HandedConnection(IDuplexPipe transport, IFeatureCollection features, CancellationToken closed)
        {
            Transport = transport;
            Features = new FeatureCollection(features);
            _closed = CancellationTokenSource.CreateLinkedTokenSource(closed);
            ConnectionClosed = _closed.Token;

            // Kestrel waits for input: it hears of the end as an answer to that.
            _closed.Token.UnsafeRegister(static input => ((PipeReader)input!).CancelPendingRead(), transport.Input);
            ConnectionId = $"handed-{Interlocked.Increment(ref s_lastId)}";
            Features.Set<IConnectionIdFeature>(this);
            Features.Set<IConnectionTransportFeature>(this);
            Features.Set<IConnectionItemsFeature>(this);
            Features.Set<IConnectionLifetimeFeature>(this);
            Features.Set<IMemoryPoolFeature>(this);
        }

        public Task Ended => _ended.Task;

        public override string ConnectionId { get; set; }

        public override IFeatureCollection Features { get; }

        public override IDictionary<object, object?> Items { get; set; } = new ConnectionItems();

        public override IDuplexPipe Transport { get; set; }

        public override CancellationToken ConnectionClosed { get; set; }

        public MemoryPool<byte> MemoryPool => MemoryPool<byte>.Shared;

        public override void Abort(ConnectionAbortedException abortReason) => _closed.Cancel();

        public override ValueTask DisposeAsync()
        {
            _closed.Dispose();
            _ended.TrySetResult();
            return base.DisposeAsync();
        }
    }
}
