using Slipway.Api.Disk;
using Slipway.Api.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>Volumes. Errors are <see cref="EngineException"/>. Lists and inspections never wait for a volume's lock.</summary>
public interface IVolumes
{
    /// <param name="filters">name (a part of it), label, driver, dangling.</param>
    VolumeList List(Filters filters);

    /// <summary>Makes a volume; where there is one of the name, that is the answer, unchanged.</summary>
    Task<Volume> CreateAsync(VolumeCreateRequest request, CancellationToken cancellationToken);

    Volume Inspect(string name);

    /// <summary>The same volumes, for operations on one that was looked at before: where its name is another's by now, there is no such volume.</summary>
    /// <param name="volume">As <see cref="Inspect"/> has shown it.</param>
    IVolumes Judged(Volume volume);

    /// <summary>Gives a volume that no container names another name.</summary>
    Task RenameAsync(string name, string newName, CancellationToken cancellationToken);

    /// <summary>Makes a volume with the content of another. Containers that have it mounted are paused meanwhile unless that is declined.</summary>
    Task<Volume> CopyAsync(string name, VolumeCopyRequest request, CancellationToken cancellationToken);

    /// <summary>Finds a volume whose content is to be written as a tar.</summary>
    /// <returns>Writes the tar; nobody is paused for it.</returns>
    Func<Stream, CancellationToken, Task> Export(string name);

    /// <param name="force">A volume that is not there is no error.</param>
    Task RemoveAsync(string name, bool force, CancellationToken cancellationToken);

    /// <summary>Removes volumes that no container names: those without a name of their own, or all (<c>all=true</c>).</summary>
    /// <param name="all">What a missing filter <c>all</c> means: until API 1.42 every volume.</param>
    Task<VolumesPruneReport> PruneAsync(Filters filters, bool all, CancellationToken cancellationToken);
}
