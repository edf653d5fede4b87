using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Api.Builds;
using Slipway.Api.Containers;
using Slipway.Api.Daemon;
using Slipway.Api.Disk;
using Slipway.Api.Events;
using Slipway.Api.Exec;
using Slipway.Api.Images;
using Slipway.Api.Networks;
using Slipway.Api.Registries;
using Slipway.Api.Secrets;
using Slipway.Api.Volumes;

namespace Slipway.Api;

/// <summary>
/// JSON of the Engine API. Property names are those of the records (Docker's are PascalCase with exceptions, which are
/// marked); names are read without regard to case and unknown ones are passed over, as Go's decoder does.
/// </summary>
[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true, NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(ErrorResponse))]
[JsonSerializable(typeof(IdResponse))]
[JsonSerializable(typeof(ContainerCreateRequest))]
[JsonSerializable(typeof(ContainerCreateResponse))]
[JsonSerializable(typeof(ContainerConfig))]
[JsonSerializable(typeof(HostConfig))]
[JsonSerializable(typeof(NetworkingConfig))]
[JsonSerializable(typeof(NetworkSettings))]
[JsonSerializable(typeof(ContainerInspect))]
[JsonSerializable(typeof(List<ContainerSummary>))]
[JsonSerializable(typeof(ContainerStats))]
[JsonSerializable(typeof(ContainerUpdateRequest))]
[JsonSerializable(typeof(ContainerUpdateResponse))]
[JsonSerializable(typeof(ContainerTop))]
[JsonSerializable(typeof(List<FilesystemChange>))]
[JsonSerializable(typeof(ContainerPathStat))]
[JsonSerializable(typeof(ContainerWaitResponse))]
[JsonSerializable(typeof(CheckpointCreateRequest))]
[JsonSerializable(typeof(List<CheckpointSummary>))]
[JsonSerializable(typeof(ExecCreateRequest))]
[JsonSerializable(typeof(ExecStartRequest))]
[JsonSerializable(typeof(ExecInspect))]
[JsonSerializable(typeof(List<ImageSummary>))]
[JsonSerializable(typeof(ImageInspect))]
[JsonSerializable(typeof(List<ImageHistoryItem>))]
[JsonSerializable(typeof(List<ImageDeleteItem>))]
[JsonSerializable(typeof(ProgressMessage))]
[JsonSerializable(typeof(DiskUsage))]
[JsonSerializable(typeof(DiskLedger))]
[JsonSerializable(typeof(ContainersPruneReport))]
[JsonSerializable(typeof(ImagesPruneReport))]
[JsonSerializable(typeof(VolumesPruneReport))]
[JsonSerializable(typeof(Volume))]
[JsonSerializable(typeof(VolumeList))]
[JsonSerializable(typeof(VolumeCreateRequest))]
[JsonSerializable(typeof(VolumeCopyRequest))]
[JsonSerializable(typeof(NetworksPruneReport))]
[JsonSerializable(typeof(Network))]
[JsonSerializable(typeof(List<Network>))]
[JsonSerializable(typeof(NetworkCreateRequest))]
[JsonSerializable(typeof(NetworkCreateResponse))]
[JsonSerializable(typeof(NetworkConnectRequest))]
[JsonSerializable(typeof(NetworkDisconnectRequest))]
[JsonSerializable(typeof(BuildCachePruneReport))]
[JsonSerializable(typeof(BuildMessage))]
[JsonSerializable(typeof(List<Ulimit>))]
[JsonSerializable(typeof(Dictionary<string, AuthConfig>))]
[JsonSerializable(typeof(AuthConfig))]
[JsonSerializable(typeof(LoginAnswer))]
[JsonSerializable(typeof(DistributionInspect))]
[JsonSerializable(typeof(List<SearchResult>))]
[JsonSerializable(typeof(SearchResults))]
[JsonSerializable(typeof(Secret))]
[JsonSerializable(typeof(List<Secret>))]
[JsonSerializable(typeof(SecretSpec))]
[JsonSerializable(typeof(SecretCreateResponse))]
[JsonSerializable(typeof(EventMessage))]
[JsonSerializable(typeof(SystemInfo))]
[JsonSerializable(typeof(SystemVersion))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(Dictionary<string, List<string>>))]
[JsonSerializable(typeof(Dictionary<string, Dictionary<string, bool>>))]
[JsonSerializable(typeof(List<string>))]
public sealed partial class EngineJson : JsonSerializerContext
{
    /// <summary>
    /// The context to use on the wire: text is escaped no more than JSON demands, because <c>docker inspect</c> shows the
    /// bytes of the answer as they are.
    /// </summary>
    public static EngineJson Wire { get; } = new(new JsonSerializerOptions
    {
        PropertyNameCaseInsensitive = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters =
        {
            new NullAsDefault<long>((ref reader) => reader.GetInt64(), (writer, value) => writer.WriteNumberValue(value)),
            new NullAsDefault<int>((ref reader) => reader.GetInt32(), (writer, value) => writer.WriteNumberValue(value)),
            new NullAsDefault<ulong>((ref reader) => reader.GetUInt64(), (writer, value) => writer.WriteNumberValue(value)),
            new NullAsDefault<uint>((ref reader) => reader.GetUInt32(), (writer, value) => writer.WriteNumberValue(value)),
            new NullAsDefault<ushort>((ref reader) => reader.GetUInt16(), (writer, value) => writer.WriteNumberValue(value)),
            new NullAsDefault<bool>((ref reader) => reader.GetBoolean(), (writer, value) => writer.WriteBooleanValue(value)),
        },
    });
}
