using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Api.Containers;
using Slipway.Storage.State;

namespace Slipway.Engine.Containers.State;

/// <summary>The configuration document of a row: what the API calls Config, and the mounts resolved from it.</summary>
internal sealed record ConfigDocument(ContainerConfig Config, IReadOnlyList<ContainerMount> Mounts);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(ConfigDocument))]
[JsonSerializable(typeof(HostConfig))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, EndpointSettings?>), TypeInfoPropertyName = "Endpoints")]
[JsonSerializable(typeof(RunState))]
internal sealed partial class StateJson : JsonSerializerContext;

/// <summary>Rows of the container table, to and fro.</summary>
internal static class ContainerDocuments
{
    public static byte[] Serialize(RunState state) => JsonSerializer.SerializeToUtf8Bytes(state, StateJson.Default.RunState);

    public static ContainerRow ToRow(ContainerSnapshot container) => new()
    {
        Id = container.Id,
        Name = container.Name,
        Created = container.Created,
        ImageId = container.ImageId,
        Config = JsonSerializer.SerializeToUtf8Bytes(new ConfigDocument(container.Config, container.Mounts), StateJson.Default.ConfigDocument),
        HostConfig = JsonSerializer.SerializeToUtf8Bytes(container.HostConfig, StateJson.Default.HostConfig),
        Networking = JsonSerializer.SerializeToUtf8Bytes(container.RequestedEndpoints, StateJson.Default.Endpoints),
        State = Serialize(container.State),
    };

    /// <exception cref="JsonException">The row was not written by this engine.</exception>
    public static ContainerSnapshot FromRow(ContainerRow row)
    {
        ConfigDocument config = Read(row.Config, StateJson.Default.ConfigDocument);
        return new ContainerSnapshot
        {
            Id = row.Id,
            Name = row.Name,
            Created = row.Created,
            ImageId = row.ImageId,
            Config = config.Config,
            Mounts = config.Mounts,
            HostConfig = Read(row.HostConfig, StateJson.Default.HostConfig),
            RequestedEndpoints = Read(row.Networking, StateJson.Default.Endpoints),
            State = Read(row.State, StateJson.Default.RunState),
        };
    }

    private static T Read<T>(byte[] json, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(json, type) ?? throw new JsonException("the document is null");
}
