namespace Slipway.Engine.Volumes;

/// <summary>Where volumes come from. A call for one volume comes after the other: the volume's lock is held.</summary>
internal interface IVolumeDriver
{
    /// <summary>Checks the options of a volume and makes it; one that is there already stays.</summary>
    /// <exception cref="EngineException">InvalidParameter: the options, in words that follow <c>create NAME: </c>.</exception>
    /// <returns>Where the content lies, or will when it is mounted; empty where only the mount tells.</returns>
    Task<string> CreateAsync(string name, VolumeDocument document, CancellationToken cancellationToken);

    Task RemoveAsync(string name, CancellationToken cancellationToken);

    /// <summary>Before a container uses the volume.</summary>
    /// <param name="user">A container's id.</param>
    /// <returns>Where the content lies.</returns>
    Task<string> MountAsync(string name, VolumeDocument document, string user, CancellationToken cancellationToken);

    /// <summary>After a container has used the volume.</summary>
    /// <param name="isLast">No other container uses it now.</param>
    Task UnmountAsync(string name, VolumeDocument document, string user, bool isLast);

    /// <summary>Whether the directory at the path may be replaced by another while nobody has it mounted.</summary>
    bool OwnsDirectory(string name, VolumeDocument document);

    /// <summary>Whether the files are the engine's own, on a file system of its choice, so that nobody else counts on their owners.</summary>
    bool OwnsFiles(VolumeDocument document);
}
