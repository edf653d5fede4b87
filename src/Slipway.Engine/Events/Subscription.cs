using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Slipway.Api.Events;

namespace Slipway.Engine.Events;

/// <summary>What one subscriber has not read yet.</summary>
internal sealed class Subscription(EventFilter filter)
{
    private readonly Channel<EventMessage> _pending =
        Channel.CreateBounded<EventMessage>(new BoundedChannelOptions(EventLog.SubscriberCapacity) { SingleReader = true, SingleWriter = true });

    public bool Includes(EventMessage message) => filter.Includes(message);

    /// <summary>Hands an event over where the subscriber wants it; ends the subscription where it does not keep up.</summary>
    public void Offer(EventMessage message)
    {
        if (filter.Includes(message) && !_pending.Writer.TryWrite(message))
        {
            _pending.Writer.TryComplete(new EngineException(
                ErrorKind.Unavailable, $"the reader of these events is {EventLog.SubscriberCapacity} events behind; subscribe again since the last one seen"));
        }
    }

    public void End() => _pending.Writer.TryComplete();

    public bool TryTake([NotNullWhen(true)] out EventMessage? message) => _pending.Reader.TryRead(out message);

    /// <summary>True when there is something to take; false at the end or at the deadline.</summary>
    public async ValueTask<bool> WaitAsync(CancellationToken cancellationToken, CancellationToken deadline)
    {
        try
        {
            return await _pending.Reader.WaitToReadAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return false;
        }
    }
}
