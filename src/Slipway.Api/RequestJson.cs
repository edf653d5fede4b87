using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Slipway.Api;

/// <summary>
/// How documents of clients are read: as <see cref="EngineJson.Wire"/>, and as by Go's decoder a field that is <c>null</c> is as if it had not been sent, so that no
/// field whose type says that it has a value is without one. A <c>null</c> among a dictionary's texts is the empty text.
/// </summary>
public static class RequestJson
{
    private static readonly JsonSerializerOptions s_options = new(EngineJson.Wire.Options)
    {
        TypeInfoResolver = ((IJsonTypeInfoResolver)EngineJson.Wire).WithAddedModifier(KeepDefaults),
    };

    public static JsonTypeInfo<T> Of<T>() => (JsonTypeInfo<T>)s_options.GetTypeInfo(typeof(T));

    private static void KeepDefaults(JsonTypeInfo type)
    {
        foreach (JsonPropertyInfo property in type.Properties)
        {
            if (property.PropertyType.IsValueType || property.Set is not { } set)
            {
                continue;
            }

            bool mayBeNull = property.IsSetNullable;
            property.Set = (target, value) =>
            {
                if (value is Dictionary<string, string?> texts)
                {
                    foreach (string key in texts.Where(entry => entry.Value is null).Select(entry => entry.Key).ToArray())
                    {
                        texts[key] = "";
                    }
                }

                if (value is not null || mayBeNull)
                {
                    set(target, value);
                }
            };
        }
    }
}
