using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Engine.Volumes;

/// <summary>What is asked of a volume that has to be made: by a mount, or again where it has vanished.</summary>
/// <param name="Driver">Null or empty: local, or that of the volume which is already there.</param>
internal sealed record VolumeSpec(string? Driver = null, IReadOnlyDictionary<string, string>? Options = null, IReadOnlyDictionary<string, string>? Labels = null)
{
    public static VolumeSpec Default { get; } = new();
}

/// <summary>What is stored of a volume besides its name and time. Never changed: a volume's lock protects which one it has.</summary>
internal sealed record VolumeDocument
{
    /// <summary>Docker's mark of a volume whose name was made up; such go with an ordinary prune.</summary>
    public const string AnonymousLabel = "com.docker.volume.anonymous";

    /// <summary>On a snapshot: what it is of. For people and filters; the engine goes by <see cref="SnapshotOf"/>.</summary>
    public const string SnapshotLabel = "io.slipway.snapshot.of";

    public required string Driver { get; init; }

    /// <summary>As they were given: null is not empty.</summary>
    public IReadOnlyDictionary<string, string>? Options { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>
    /// The container that an anonymous volume was made for, until that lets go of it. A volume of a container that does not exist is of a creation
    /// that was not finished.
    /// </summary>
    public string? Owner { get; init; }

    /// <summary>The volume that this one shows as it was at an instant; containers only read it.</summary>
    public string? SnapshotOf { get; init; }

    /// <summary>Bytes it may take at most; null where there is no limit, and where another driver knows.</summary>
    [JsonIgnore]
    public long? Size => Driver == LocalDriver.Name ? LocalMount.SizeOf(Options) : null;

    [JsonIgnore]
    public bool IsAnonymous => Labels?.ContainsKey(AnonymousLabel) == true;

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, VolumeJson.Default.VolumeDocument);

    /// <exception cref="JsonException">The row was not written by this engine.</exception>
    public static VolumeDocument Parse(byte[] bytes) => JsonSerializer.Deserialize(bytes, VolumeJson.Default.VolumeDocument) ?? throw new JsonException("the document is null");
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(VolumeDocument))]
internal sealed partial class VolumeJson : JsonSerializerContext;
