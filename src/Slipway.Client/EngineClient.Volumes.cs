using Slipway.Api;
using Slipway.Api.Disk;
using Slipway.Api.Volumes;

namespace Slipway.Client;

/// <summary>Volumes.</summary>
public sealed partial class EngineClient
{
    public Task<VolumeList> ListVolumesAsync(IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        GetAsync(new Query("/volumes").Add(filters).ToString(), EngineJson.Wire.VolumeList, cancellationToken);

    public Task<Volume> CreateVolumeAsync(VolumeCreateRequest request, CancellationToken cancellationToken) =>
        PostAsync("/volumes/create", request, EngineJson.Wire.VolumeCreateRequest, EngineJson.Wire.Volume, cancellationToken);

    /// <summary>The answer as the engine wrote it.</summary>
    public Task<byte[]> InspectVolumeRawAsync(string volume, CancellationToken cancellationToken) => GetBytesAsync($"/volumes/{Segment(volume)}", cancellationToken);

    public Task RemoveVolumeAsync(string volume, bool force, CancellationToken cancellationToken) =>
        CommandAsync(HttpMethod.Delete, new Query($"/volumes/{Segment(volume)}").Add("force", force).ToString(), null, cancellationToken);

    /// <summary>Slipway's own: a volume with the content of another.</summary>
    public Task<Volume> CopyVolumeAsync(string volume, VolumeCopyRequest request, CancellationToken cancellationToken) =>
        PostAsync($"/slipway/volumes/{Segment(volume)}/copy", request, EngineJson.Wire.VolumeCopyRequest, EngineJson.Wire.Volume, cancellationToken);

    /// <summary>Slipway's own.</summary>
    public Task RenameVolumeAsync(string volume, string newName, CancellationToken cancellationToken) =>
        CommandAsync(new Query($"/slipway/volumes/{Segment(volume)}/rename").Add("name", newName).ToString(), cancellationToken);

    /// <summary>Slipway's own: the content as a tar; disposing it ends the transfer.</summary>
    public async Task<Stream> ExportVolumeAsync(string volume, CancellationToken cancellationToken)
    {
        HttpResponseMessage response = await SendAsync(HttpMethod.Get, $"/slipway/volumes/{Segment(volume)}/export", null, cancellationToken).ConfigureAwait(false);
        return await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
    }
}
