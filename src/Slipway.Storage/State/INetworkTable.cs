namespace Slipway.Storage.State;

/// <summary>Networks, the endpoints of containers on them, and the addresses taken.</summary>
public interface INetworkTable
{
    /// <exception cref="StorageException">Conflict: the id or the name is taken.</exception>
    Task InsertAsync(NetworkRow row, CancellationToken cancellationToken);

    /// <summary>Deletes a network with its endpoints and addresses; true if it was there.</summary>
    Task<bool> DeleteAsync(string id, CancellationToken cancellationToken);

    Task<IReadOnlyList<NetworkRow>> AllAsync(CancellationToken cancellationToken);

    /// <summary>Inserts an endpoint, or replaces the one of the same container on the same network.</summary>
    /// <exception cref="StorageException">NotFound: no such network.</exception>
    Task PutEndpointAsync(EndpointRow row, CancellationToken cancellationToken);

    Task<bool> DeleteEndpointAsync(string networkId, string containerId, CancellationToken cancellationToken);

    Task<IReadOnlyList<EndpointRow>> EndpointsAsync(CancellationToken cancellationToken);

    /// <summary>Takes an address; false where it is taken.</summary>
    /// <exception cref="StorageException">NotFound: no such network.</exception>
    Task<bool> TakeAddressAsync(AddressRow row, CancellationToken cancellationToken);

    Task<bool> ReleaseAddressAsync(string networkId, string address, CancellationToken cancellationToken);

    Task<IReadOnlyList<AddressRow>> AddressesAsync(CancellationToken cancellationToken);
}

/// <param name="Document">JSON owned by the engine.</param>
public sealed record NetworkRow(string Id, string Name, DateTimeOffset Created, byte[] Document);

/// <param name="Document">JSON owned by the engine.</param>
public sealed record EndpointRow(string NetworkId, string ContainerId, byte[] Document);

/// <param name="Address">In its canonical text form, without a prefix length; unique in its network.</param>
/// <param name="Owner">A container id, or a word like <c>gateway</c>.</param>
public sealed record AddressRow(string NetworkId, string Address, string Owner);
