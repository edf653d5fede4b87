namespace Slipway.Storage.State;

/// <summary>Rows of containers. A change survives the end of the process when its task completes (WAL, synchronous NORMAL).</summary>
public interface IContainerTable
{
    /// <exception cref="StorageException">Conflict: the id or the name is taken.</exception>
    Task InsertAsync(ContainerRow row, CancellationToken cancellationToken);

    /// <exception cref="StorageException">NotFound.</exception>
    Task UpdateStateAsync(string id, byte[] state, CancellationToken cancellationToken);

    /// <summary>Replaces host configuration (docker update), networking, or both; null leaves one as it is.</summary>
    /// <exception cref="StorageException">NotFound.</exception>
    Task UpdateConfigAsync(string id, byte[]? hostConfig, byte[]? networking, CancellationToken cancellationToken);

    /// <summary>Replaces all that may change of a container but its name, at once: configuration, host configuration, networking, state.</summary>
    /// <exception cref="StorageException">NotFound.</exception>
    Task ReplaceAsync(ContainerRow row, CancellationToken cancellationToken);

    /// <exception cref="StorageException">NotFound; Conflict: another container has the name.</exception>
    Task RenameAsync(string id, string name, CancellationToken cancellationToken);

    /// <summary>Deletes the row, with its endpoints and addresses; true if it was there.</summary>
    Task<bool> DeleteAsync(string id, CancellationToken cancellationToken);

    /// <summary>All rows, oldest first.</summary>
    Task<IReadOnlyList<ContainerRow>> AllAsync(CancellationToken cancellationToken);
}
