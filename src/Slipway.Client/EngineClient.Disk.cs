using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Disk;

namespace Slipway.Client;

/// <summary>What containers wrote, what all takes on the disk, and giving it back.</summary>
public sealed partial class EngineClient
{
    public async Task<List<FilesystemChange>> ContainerChangesAsync(string container, CancellationToken cancellationToken)
    {
        // An engine says null where there are none.
        byte[] body = await GetBytesAsync($"/containers/{Segment(container)}/changes", cancellationToken).ConfigureAwait(false);
        return System.Text.Json.JsonSerializer.Deserialize(body, EngineJson.Wire.ListFilesystemChange) ?? [];
    }

    /// <summary>The root file system as a tar; disposing it ends the transfer.</summary>
    public async Task<Stream> ExportContainerAsync(string container, CancellationToken cancellationToken)
    {
        HttpResponseMessage response = await SendAsync(HttpMethod.Get, $"/containers/{Segment(container)}/export", null, cancellationToken).ConfigureAwait(false);
        return await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <returns>The id of the image.</returns>
    public async Task<string> CommitContainerAsync(ContainerCommitOptions options, CancellationToken cancellationToken)
    {
        Query query = new Query("/commit").Add("container", options.Container).Add("repo", options.Repository).Add("tag", options.Tag)
            .Add("comment", options.Comment).Add("author", options.Author).Add("pause", options.Pause ? "1" : "0");
        foreach (string change in options.Changes)
        {
            query.Add("changes", change);
        }

        using HttpResponseMessage response = await SendAsync(HttpMethod.Post, query.ToString(), null, cancellationToken).ConfigureAwait(false);
        return (await ReadAsync(response, EngineJson.Wire.IdResponse, cancellationToken).ConfigureAwait(false)).Id;
    }

    public Task<DiskUsage> DiskUsageAsync(CancellationToken cancellationToken) => GetAsync("/system/df", EngineJson.Wire.DiskUsage, cancellationToken);

    /// <summary>Slipway's own: every object below the data root.</summary>
    public Task<DiskLedger> DiskLedgerAsync(CancellationToken cancellationToken) => GetAsync("/slipway/disk", EngineJson.Wire.DiskLedger, cancellationToken);

    public Task<ContainersPruneReport> PruneContainersAsync(IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        PruneAsync("/containers/prune", filters, EngineJson.Wire.ContainersPruneReport, cancellationToken);

    public Task<ImagesPruneReport> PruneImagesAsync(IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        PruneAsync("/images/prune", filters, EngineJson.Wire.ImagesPruneReport, cancellationToken);

    public Task<VolumesPruneReport> PruneVolumesAsync(IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        PruneAsync("/volumes/prune", filters, EngineJson.Wire.VolumesPruneReport, cancellationToken);

    public Task<NetworksPruneReport> PruneNetworksAsync(IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        PruneAsync("/networks/prune", filters, EngineJson.Wire.NetworksPruneReport, cancellationToken);

    public Task<BuildCachePruneReport> PruneBuildCacheAsync(IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        PruneAsync("/build/prune", filters, EngineJson.Wire.BuildCachePruneReport, cancellationToken);

    private async Task<T> PruneAsync<T>(
        string path, IReadOnlyDictionary<string, List<string>>? filters, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await SendAsync(HttpMethod.Post, new Query(path).Add(filters).ToString(), null, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, type, cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>What POST /commit takes.</summary>
/// <param name="Pause">Freeze the container meanwhile.</param>
/// <param name="Changes">Dockerfile instructions.</param>
public sealed record ContainerCommitOptions(
    string Container, string? Repository, string? Tag, string? Comment, string? Author, bool Pause, IReadOnlyList<string> Changes);
