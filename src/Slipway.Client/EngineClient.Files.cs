using System.Net;
using System.Text.Json;
using Slipway.Api;
using Slipway.Api.Containers;

namespace Slipway.Client;

/// <summary>Files in containers, and what containers use.</summary>
public sealed partial class EngineClient
{
    private const string PathStatHeader = "X-Docker-Container-Path-Stat";

    /// <summary>What a path in a container is; null where there is none, or no such container.</summary>
    public async Task<ContainerPathStat?> StatContainerPathAsync(string container, string path, CancellationToken cancellationToken)
    {
        try
        {
            using HttpResponseMessage response = await SendAsync(HttpMethod.Head, ArchivePath(container, path).ToString(), null, cancellationToken).ConfigureAwait(false);
            return PathStat(response);
        }
        catch (EngineApiException exception) when (exception.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    /// <summary>A file or directory as a tar, and what it is; disposing the stream ends the transfer.</summary>
    public async Task<(Stream Archive, ContainerPathStat Stat)> CopyFromContainerAsync(string container, string path, CancellationToken cancellationToken)
    {
        HttpResponseMessage response = await SendAsync(HttpMethod.Get, ArchivePath(container, path).ToString(), null, cancellationToken).ConfigureAwait(false);
        return (await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false), PathStat(response));
    }

    /// <summary>Unpacks a tar into a directory of a container. A directory is not replaced by something else, nor the other way round.</summary>
    /// <param name="archive">Writes the tar into the request.</param>
    /// <param name="keepOwner">Files belong to whom the archive says; else to root.</param>
    public async Task CopyToContainerAsync(string container, string path, Func<Stream, CancellationToken, Task> archive, bool keepOwner, CancellationToken cancellationToken)
    {
        using WrittenContent content = new(archive);
        await CommandAsync(
            HttpMethod.Put, ArchivePath(container, path).Add("noOverwriteDirNonDir", true).Add("copyUIDGID", keepOwner).ToString(), content, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>One sample, with the one before it to compare with.</summary>
    public Task<ContainerStats> StatsAsync(string container, CancellationToken cancellationToken) =>
        GetAsync(new Query($"/containers/{Segment(container)}/stats").Add("stream", "0").ToString(), EngineJson.Wire.ContainerStats, cancellationToken);

    public Task CreateCheckpointAsync(string container, CheckpointCreateRequest request, CancellationToken cancellationToken) =>
        CommandAsync(HttpMethod.Post, $"/containers/{Segment(container)}/checkpoints", Json(request, EngineJson.Wire.CheckpointCreateRequest), cancellationToken);

    /// <param name="directory">Of the host; null: where checkpoints are kept.</param>
    public Task<List<CheckpointSummary>> ListCheckpointsAsync(string container, string? directory, CancellationToken cancellationToken) =>
        GetAsync(new Query($"/containers/{Segment(container)}/checkpoints").Add("dir", directory).ToString(), EngineJson.Wire.ListCheckpointSummary, cancellationToken);

    /// <inheritdoc cref="ListCheckpointsAsync" path="/param"/>
    public Task RemoveCheckpointAsync(string container, string checkpoint, string? directory, CancellationToken cancellationToken) =>
        CommandAsync(HttpMethod.Delete, new Query($"/containers/{Segment(container)}/checkpoints/{Segment(checkpoint)}").Add("dir", directory).ToString(), null, cancellationToken);

    /// <summary>Lets a container go on from a checkpoint.</summary>
    /// <inheritdoc cref="ListCheckpointsAsync" path="/param"/>
    public Task StartFromCheckpointAsync(string container, string checkpoint, string? directory, CancellationToken cancellationToken) =>
        CommandAsync(new Query($"/containers/{Segment(container)}/start").Add("checkpoint", checkpoint).Add("checkpoint-dir", directory).ToString(), cancellationToken);

    private static Query ArchivePath(string container, string path) => new Query($"/containers/{Segment(container)}/archive").Add("path", path);

    private static ContainerPathStat PathStat(HttpResponseMessage response) =>
        response.Headers.TryGetValues(PathStatHeader, out IEnumerable<string>? values)
        && JsonSerializer.Deserialize(Convert.FromBase64String(values.First()), EngineJson.Wire.ContainerPathStat) is { } stat
            ? stat
            : throw new IOException("the engine does not tell what the path is");

    /// <summary>A body that is written while it is sent.</summary>
    private sealed class WrittenContent : HttpContent
    {
        private readonly Func<Stream, CancellationToken, Task> _write;

        public WrittenContent(Func<Stream, CancellationToken, Task> write)
        {
            _write = write;
            Headers.ContentType = new("application/x-tar");
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => _write(stream, CancellationToken.None);

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) => _write(stream, cancellationToken);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
