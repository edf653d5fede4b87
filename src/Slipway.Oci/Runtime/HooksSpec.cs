using System.Text.Json.Serialization;

namespace Slipway.Oci.Runtime;

/// <summary>Programs that a runtime executes on the way (config.md, "POSIX-platform Hooks"). Slipway's own executes those of a container's creation (<see cref="Needs"/>).</summary>
public sealed record HooksSpec
{
    public IReadOnlyList<HookSpec>? Prestart { get; init; }

    public IReadOnlyList<HookSpec>? CreateRuntime { get; init; }

    public IReadOnlyList<HookSpec>? CreateContainer { get; init; }

    public IReadOnlyList<HookSpec>? StartContainer { get; init; }

    public IReadOnlyList<HookSpec>? Poststart { get; init; }

    public IReadOnlyList<HookSpec>? Poststop { get; init; }

    /// <summary>The first hook of a moment at which Slipway's own runtime executes none; null where there is none.</summary>
    [JsonIgnore]
    public (string Moment, HookSpec Hook)? Needs =>
        StartContainer is [var start, ..] ? ("startContainer", start)
        : Poststart is [var started, ..] ? ("poststart", started)
        : Poststop is [var stopped, ..] ? ("poststop", stopped)
        : null;

    /// <summary>Hooks after those that are there; null where there are none at all.</summary>
    /// <param name="added">By the specification's name of the moment.</param>
    public static HooksSpec? Add(HooksSpec? hooks, IEnumerable<(string Name, HookSpec Hook)> added)
    {
        foreach ((string name, HookSpec hook) in added)
        {
            hooks ??= new HooksSpec();
            hooks = name switch
            {
                "prestart" => hooks with { Prestart = [.. hooks.Prestart ?? [], hook] },
                "createRuntime" => hooks with { CreateRuntime = [.. hooks.CreateRuntime ?? [], hook] },
                "createContainer" => hooks with { CreateContainer = [.. hooks.CreateContainer ?? [], hook] },
                "startContainer" => hooks with { StartContainer = [.. hooks.StartContainer ?? [], hook] },
                "poststart" => hooks with { Poststart = [.. hooks.Poststart ?? [], hook] },
                "poststop" => hooks with { Poststop = [.. hooks.Poststop ?? [], hook] },
                _ => throw new ArgumentException($"\"{name}\" is no moment for a hook", nameof(added)),
            };
        }

        return hooks;
    }
}

/// <param name="Path">Of the program, on the host; absolute.</param>
/// <param name="Timeout">Seconds.</param>
public sealed record HookSpec(string Path, IReadOnlyList<string>? Args = null, IReadOnlyList<string>? Env = null, int? Timeout = null);
