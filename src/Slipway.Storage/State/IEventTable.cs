namespace Slipway.Storage.State;

/// <summary>The last events, so that <c>docker events --since</c> works over a restart. Bounded: the oldest go first.</summary>
public interface IEventTable
{
    /// <summary>Stores events in their order, in one transaction; does not wait for the disk.</summary>
    Task AppendAsync(IReadOnlyList<StoredEvent> events, CancellationToken cancellationToken);

    /// <summary>Documents of events from <paramref name="since"/> (inclusive) to <paramref name="until"/> (inclusive), in the order in which they were stored.</summary>
    Task<IReadOnlyList<byte[]>> ReadAsync(DateTimeOffset since, DateTimeOffset until, CancellationToken cancellationToken);
}

/// <param name="Document">JSON owned by the engine.</param>
public readonly record struct StoredEvent(DateTimeOffset Time, byte[] Document);

/// <summary>Small values by key.</summary>
public interface IKeyValueTable
{
    Task<byte[]?> GetAsync(string key, CancellationToken cancellationToken);

    Task SetAsync(string key, byte[] value, CancellationToken cancellationToken);

    Task<bool> DeleteAsync(string key, CancellationToken cancellationToken);
}
