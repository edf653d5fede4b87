using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Engine.Builds.History;

/// <summary>A line of a build's log: one of what it told.</summary>
internal sealed record BuildLogEntry
{
    public BuildVertex? Vertex { get; init; }

    public BuildLog? Log { get; init; }

    public BuildStatus? Status { get; init; }

    public BuildWarning? Warning { get; init; }

    /// <summary>With the end of the line.</summary>
    public byte[] ToLine() => [.. JsonSerializer.SerializeToUtf8Bytes(this, HistoryJson.Default.BuildLogEntry), (byte)'\n'];

    /// <summary>Null for what is none: the end of a log may have been lost with the power.</summary>
    public static BuildLogEntry? Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, HistoryJson.Default.BuildLogEntry);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public ValueTask TellAsync(IBuildProgress progress) => this switch
    {
        { Vertex: { } vertex } => progress.VertexAsync(vertex),
        { Log: { } log } => progress.LogAsync(log),
        { Status: { } status } => progress.StatusAsync(status),
        { Warning: { } warning } => progress.WarningAsync(warning),
        _ => ValueTask.CompletedTask,
    };
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(BuildLogEntry))]
[JsonSerializable(typeof(BuildRecord))]
internal sealed partial class HistoryJson : JsonSerializerContext;
