using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Images;

namespace Slipway.Server.Http;

/// <summary>
/// What answers looked like in older versions of the API (Docker's "version history"). Nothing here costs anything for the newest one:
/// a document is taken apart only where its version is below a shape's bound.
/// </summary>
internal static class JsonShapes
{
    private static readonly Shape[] s_shapes =
    [
        // 1.44 dropped VirtualSize, which had been the same as Size for long.
        new(typeof(List<ImageSummary>), new ApiVersion(1, 44), root => ForEach(root, CopySize)),
        new(typeof(ImageInspect), new ApiVersion(1, 44), CopySize),
        new(typeof(DiskUsage), new ApiVersion(1, 44), root => ForEach(root["Images"] ?? new JsonArray(), CopySize)),

        // 1.45 dropped the container that an image had been made of; docker-compose 1.x does not make a service anew without it.
        new(typeof(ImageInspect), new ApiVersion(1, 45), AddContainer),

        // 1.44 gave endpoints DNSNames; before, the container's short id was found among the aliases.
        new(typeof(ContainerInspect), new ApiVersion(1, 44), root => ForEachNetwork(root, (network, id) => MoveDnsNames(network, id))),
        new(typeof(List<ContainerSummary>), new ApiVersion(1, 44), root => ForEach(root, item => ForEachNetwork(item, (network, _) => network.Remove("DNSNames")))),

        // 1.46 gave summaries the annotations, 1.48 endpoints a priority as gateway.
        new(typeof(List<ContainerSummary>), new ApiVersion(1, 46), root => ForEach(root, item => (item["HostConfig"] as JsonObject)?.Remove("Annotations"))),
        new(typeof(ContainerInspect), new ApiVersion(1, 48), root => ForEachNetwork(root, (network, _) => network.Remove("GwPriority"))),
        new(typeof(List<ContainerSummary>), new ApiVersion(1, 48), root => ForEach(root, item => ForEachNetwork(item, (network, _) => network.Remove("GwPriority")))),
    ];

    /// <summary>Whether a document of this type looked otherwise in that version.</summary>
    public static bool Has<T>(ApiVersion version) => Array.Exists(s_shapes, shape => shape.Type == typeof(T) && version < shape.Below);

    public static byte[] Serialize<T>(T value, JsonTypeInfo<T> type, ApiVersion version)
    {
        byte[] document = JsonSerializer.SerializeToUtf8Bytes(value, type);
        if (!Has<T>(version) || JsonNode.Parse(document) is not { } root)
        {
            return document;
        }

        foreach (Shape shape in s_shapes.Where(shape => shape.Type == typeof(T) && version < shape.Below))
        {
            shape.Apply(root);
        }

        using MemoryStream shaped = new(document.Length);
        using (Utf8JsonWriter writer = new(shaped, new JsonWriterOptions { Encoder = EngineJson.Wire.Options.Encoder }))
        {
            root.WriteTo(writer);
        }

        return shaped.ToArray();
    }

    private static void CopySize(JsonNode image) => image["VirtualSize"] = image["Size"]?.DeepClone();

    private static void AddContainer(JsonNode image)
    {
        image["Container"] = "";
        image["ContainerConfig"] = JsonSerializer.SerializeToNode(new ContainerConfig(), EngineJson.Wire.ContainerConfig);
    }

    private static void ForEach(JsonNode list, Action<JsonNode> apply)
    {
        foreach (JsonNode? item in list.AsArray())
        {
            if (item is not null)
            {
                apply(item);
            }
        }
    }

    private static void ForEachNetwork(JsonNode container, Action<JsonObject, string> apply)
    {
        string id = container["Id"]?.GetValue<string>() ?? "";
        foreach (JsonObject network in (container["NetworkSettings"]?["Networks"] as JsonObject)?.Select(entry => entry.Value).OfType<JsonObject>() ?? [])
        {
            apply(network, id);
        }
    }

    private static void MoveDnsNames(JsonObject network, string containerId)
    {
        // On the default networks no names are resolved, and none were shown.
        if (network["DNSNames"] is JsonArray && network["Aliases"] is JsonArray aliases && containerId.Length >= 12)
        {
            aliases.Add((JsonNode)containerId[..12]);
        }

        network.Remove("DNSNames");
    }

    /// <param name="Below">The first version whose answers look as the engine makes them.</param>
    private sealed record Shape(Type Type, ApiVersion Below, Action<JsonNode> Apply);
}
