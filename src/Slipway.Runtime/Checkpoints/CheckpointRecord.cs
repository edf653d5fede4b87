using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Runtime.Compilation;

namespace Slipway.Runtime.Checkpoints;

/// <summary>
/// What a restore needs to know beside CRIU's images, in the same directory: by which names CRIU knows what comes from outside of the container. A directory that somebody names is
/// hostile; so nothing of it becomes a path or an option but these names, which have one form.
/// </summary>
public sealed partial record CheckpointRecord
{
    private const string FileName = "slipway.json";
    private const int MaxBytes = 64 << 10;

    /// <summary>Of the first process' standard streams; null for one that is something of the container's own.</summary>
    public required IReadOnlyList<string?> Streams { get; init; }

    /// <summary>Whether it has a network namespace of its own.</summary>
    public required bool Network { get; init; }

    public void Write(string directory)
    {
        using SafeFileHandle file = (new HostPath(directory) / FileName).Open(OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Truncate | OpenFlags.NoFollow, 0x180);
        RandomAccess.Write(file, JsonSerializer.SerializeToUtf8Bytes(this, CheckpointJson.Default.CheckpointRecord), 0);
    }

    /// <exception cref="PlanException">There is none, or none that <see cref="Write"/> writes.</exception>
    public static CheckpointRecord Read(string directory)
    {
        using SafeFileHandle? file = (new HostPath(directory) / FileName).TryOpen(OpenFlags.ReadOnly | OpenFlags.NoFollow | OpenFlags.NonBlocking);
        if (file is null)
        {
            throw PlanException.Invalid("the checkpoint was not made by Slipway's own runtime");
        }

        try
        {
            CheckpointRecord? record = !FileStatus.Of(file).IsRegularFile ? null : JsonSerializer.Deserialize(Descriptors.ReadToEnd(file, MaxBytes), CheckpointJson.Default.CheckpointRecord);
            return record is { Streams: [var stdin, var stdout, var stderr] } && IsName(stdin) && IsName(stdout) && IsName(stderr) ? record : throw PlanException.Invalid("the checkpoint's record is malformed");
        }
        catch (JsonException exception)
        {
            throw PlanException.Invalid("the checkpoint's record is malformed", exception);
        }
    }

    private static bool IsName(string? stream) => stream is null || Name().IsMatch(stream);

    [GeneratedRegex(@"\A(pipe:\[[0-9]{1,20}\]|file\[[0-9a-f]{1,16}:[0-9a-f]{1,16}\])\z")]
    private static partial Regex Name();
}

[JsonSourceGenerationOptions(UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(CheckpointRecord))]
internal sealed partial class CheckpointJson : JsonSerializerContext;
