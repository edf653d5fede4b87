using Slipway.Api.Disk;
using Slipway.Api.Volumes;

namespace Slipway.Engine.Volumes;

internal sealed partial class VolumeService
{
    /// <summary>Volumes of which one was looked at: its name stands for it alone, also when another has got the name since.</summary>
    private sealed class JudgedVolumes(VolumeService service, Volume judged) : IVolumes
    {
        public VolumeList List(Filters filters) => service.List(filters);

        public Task<Volume> CreateAsync(VolumeCreateRequest request, CancellationToken cancellationToken) => service.CreateAsync(request, cancellationToken);

        public Volume Inspect(string name)
        {
            Volume found = service.Inspect(name);
            return IncarnationOf(name) is { } incarnation && incarnation != found.Incarnation ? throw VolumeErrors.NoSuchVolume(name) : found;
        }

        public IVolumes Judged(Volume volume) => service.Judged(volume);

        public Task RenameAsync(string name, string newName, CancellationToken cancellationToken) => service.RenameAsync(name, newName, IncarnationOf(name), cancellationToken);

        public Task<Volume> CopyAsync(string name, VolumeCopyRequest request, CancellationToken cancellationToken) => service.CopyAsync(name, request, IncarnationOf(name), cancellationToken);

        public Func<Stream, CancellationToken, Task> Export(string name) => service.Export(name, IncarnationOf(name));

        public Task RemoveAsync(string name, bool force, CancellationToken cancellationToken) => service.RemoveAsync(name, force, IncarnationOf(name), cancellationToken);

        public Task<VolumesPruneReport> PruneAsync(Filters filters, bool all, CancellationToken cancellationToken) => service.PruneAsync(filters, all, cancellationToken);

        private long? IncarnationOf(string name) => name == judged.Name ? judged.Incarnation : null;
    }
}
