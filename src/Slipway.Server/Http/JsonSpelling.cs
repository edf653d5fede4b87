using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Slipway.Engine;

namespace Slipway.Server.Http;

/// <summary>
/// Whether a document says each thing once, and by the name that it is known by. We read names in any case and take the last of several, as Docker does;
/// a program that reads the same text otherwise would decide on something that is not executed.
/// </summary>
internal static class JsonSpelling
{
    /// <param name="body">Well-formed.</param>
    /// <param name="type">As what it is read.</param>
    /// <exception cref="EngineException">InvalidParameter, naming the field.</exception>
    public static void Check(ReadOnlyMemory<byte> body, JsonTypeInfo type)
    {
        using JsonDocument document = JsonDocument.Parse(body);
        Check(document.RootElement, type, "");
    }

    /// <param name="type">Null for what is not looked into: such objects only must not have two fields that differ by case.</param>
    private static void Check(JsonElement element, JsonTypeInfo? type, string path)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement item in element.EnumerateArray())
            {
                Check(item, Inner(type, JsonTypeInfoKind.Enumerable), path + "[]");
            }
        }
        else if (element.ValueKind == JsonValueKind.Object)
        {
            // The keys of a dictionary are data, in which case counts.
            JsonTypeInfo? values = Inner(type, JsonTypeInfoKind.Dictionary);
            HashSet<string> seen = new(values is null ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal);
            foreach (JsonProperty field in element.EnumerateObject())
            {
                string place = path.Length == 0 ? field.Name : $"{path}.{field.Name}";
                if (!seen.Add(field.Name))
                {
                    throw new EngineException(ErrorKind.InvalidParameter, $"invalid JSON: the field {place} comes more than once, which is not accepted where plugins authorize requests");
                }

                Check(field.Value, values ?? Known(type, field.Name, place), place);
            }
        }
    }

    private static JsonTypeInfo? Known(JsonTypeInfo? type, string name, string place)
    {
        if (type?.Kind != JsonTypeInfoKind.Object)
        {
            return null;
        }

        JsonPropertyInfo? known = type.Properties.FirstOrDefault(property => string.Equals(property.Name, name, StringComparison.OrdinalIgnoreCase));
        return known is null || known.Name == name ? known is null ? null : type.Options.GetTypeInfo(known.PropertyType)
            : throw new EngineException(ErrorKind.InvalidParameter, $"invalid JSON: the field {place} has to be spelt {known.Name} where plugins authorize requests");
    }

    private static JsonTypeInfo? Inner(JsonTypeInfo? type, JsonTypeInfoKind kind) =>
        type?.Kind == kind && type.ElementType is { } element ? type.Options.GetTypeInfo(element) : null;
}
