using Slipway.Api.Events;

namespace Slipway.Engine.Events;

public interface IEvents
{
    /// <summary>Past events from <paramref name="since"/> on, then those that come, until <paramref name="until"/> or for ever. The subscription stands when this returns.</summary>
    IAsyncEnumerable<EventMessage> Subscribe(DateTimeOffset? since, DateTimeOffset? until, Filters filters, CancellationToken cancellationToken);
}
