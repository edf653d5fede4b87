using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Oci.Cdi;

/// <summary>A specification of the Container Device Interface (CDI 1.0, SPEC.md): what a container needs to use devices of one kind.</summary>
public sealed record CdiDocument
{
    public required string CdiVersion { get; init; }

    /// <summary><c>vendor.com/class</c>.</summary>
    public required string Kind { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    public required IReadOnlyList<CdiDevice> Devices { get; init; }

    /// <summary>For whoever has any of the devices.</summary>
    public CdiEdits? ContainerEdits { get; init; }

    /// <summary>Whether programs of the host are executed for any of the devices.</summary>
    [JsonIgnore]
    public bool HasHooks => Devices.Select(device => device.ContainerEdits).Append(ContainerEdits).Any(edits => edits?.Hooks is { Count: > 0 });
}

public sealed record CdiDevice
{
    public required string Name { get; init; }

    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    public CdiEdits? ContainerEdits { get; init; }
}

/// <summary>Changes of a container's specification.</summary>
public sealed record CdiEdits
{
    public IReadOnlyList<string>? Env { get; init; }

    public IReadOnlyList<CdiDeviceNode>? DeviceNodes { get; init; }

    public IReadOnlyList<CdiHook>? Hooks { get; init; }

    public IReadOnlyList<CdiMount>? Mounts { get; init; }

    /// <summary>Of resource control groups of Intel's processors.</summary>
    public JsonElement? IntelRdt { get; init; }

    public IReadOnlyList<uint>? AdditionalGids { get; init; }
}

/// <param name="Path">In the container.</param>
/// <param name="HostPath">Empty: the same.</param>
/// <param name="Type"><c>c</c>, <c>b</c>, <c>u</c> or <c>p</c>; empty: as on the host, with its number.</param>
/// <param name="Permissions">Of <c>rwm</c>; empty: all.</param>
public sealed record CdiDeviceNode(
    string Path,
    string HostPath = "",
    string Type = "",
    long Major = 0,
    long Minor = 0,
    [property: JsonConverter(typeof(CdiModeConverter))] uint? FileMode = null,
    string Permissions = "",
    uint? Uid = null,
    uint? Gid = null);

/// <param name="Type">Of the file system; empty: a bind.</param>
public sealed record CdiMount(string HostPath, string ContainerPath, IReadOnlyList<string>? Options = null, string Type = "");

/// <param name="HookName">As of the runtime specification: createRuntime, createContainer…</param>
/// <param name="Timeout">Seconds.</param>
public sealed record CdiHook(string HookName, string Path, IReadOnlyList<string>? Args = null, IReadOnlyList<string>? Env = null, int? Timeout = null);

/// <summary>A mode as a number, or in octal digits as YAML writes them.</summary>
public sealed class CdiModeConverter : JsonConverter<uint?>
{
    public override uint? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Number)
        {
            return reader.GetUInt32();
        }

        string text = reader.GetString() ?? throw new JsonException("a file mode is a number");
        string digits = text.StartsWith("0o", StringComparison.Ordinal) ? text[2..] : text;
        bool octal = text.Length > 1 && text[0] == '0';
        return octal && digits.Length is > 0 and < 8 && digits.All(c => c is >= '0' and <= '7') ? Convert.ToUInt32(digits, 8)
            : !octal && uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint mode) ? mode
            : throw new JsonException($"\"{text}\" is no file mode");
    }

    public override void Write(Utf8JsonWriter writer, uint? value, JsonSerializerOptions options) => writer.WriteNumberValue(value ?? 0);
}

/// <summary>What is unknown is refused: a device that comes without half of what it needs is worse than none. Numbers may be text, as YAML's all are here.</summary>
[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    NumberHandling = JsonNumberHandling.AllowReadingFromString,
    RespectNullableAnnotations = true,
    MaxDepth = PlainYaml.MaxDepth)]
[JsonSerializable(typeof(CdiDocument))]
public sealed partial class CdiJson : JsonSerializerContext;
