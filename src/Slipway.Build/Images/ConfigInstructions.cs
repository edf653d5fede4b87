using System.Globalization;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Images;

/// <summary>What instructions do to an image's configuration. Those that change files as well (WORKDIR makes its directory) are done by whoever builds.</summary>
public static class ConfigInstructions
{
    private static readonly string[] s_defaultShell = ["/bin/sh", "-c"];

    /// <summary>Whether an instruction changes nothing but the configuration.</summary>
    public static bool Covers(Instruction instruction) => instruction
        is CmdInstruction or EntrypointInstruction or EnvInstruction or ExposeInstruction or HealthcheckInstruction or LabelInstruction or OnbuildInstruction
        or StopsignalInstruction or UserInstruction or VolumeInstruction or WorkdirInstruction or ShellInstruction;

    /// <param name="instruction">One that is covered.</param>
    /// <param name="value">Of a variable in the instruction; null: it is not set.</param>
    /// <exception cref="DockerfileException">A word of it cannot be meant.</exception>
    public static ImageRunConfig Apply(ImageRunConfig config, Instruction instruction, char escape, Func<string, string?> value)
    {
        try
        {
            return instruction switch
            {
                CmdInstruction cmd => config with { Cmd = Command(config, cmd.Command) },
                EntrypointInstruction entrypoint => config with { Entrypoint = Command(config, entrypoint.Command) },
                EnvInstruction env => config with { Env = Merge(config.Env, env.Variables.Select(Expand)) },
                LabelInstruction label => config with { Labels = Merge(config.Labels, label.IsLiteral ? label.Labels : label.Labels.Select(Expand)) },
                ExposeInstruction expose => config with { ExposedPorts = Merge(config.ExposedPorts, expose.Ports.SelectMany(Words).SelectMany(Ports)) },
                VolumeInstruction volume => config with { Volumes = Merge(config.Volumes, volume.Paths.Select(Volume)) },
                OnbuildInstruction onbuild => config with { OnBuild = [.. config.OnBuild ?? [], onbuild.Trigger] },
                StopsignalInstruction signal => config with { StopSignal = StopSignal.Require(Text(signal.Signal)) },
                UserInstruction user => config with { User = Text(user.User) },
                WorkdirInstruction workdir => config with { WorkingDir = WorkingDirectory(config.WorkingDir, Text(workdir.Path)) },
                HealthcheckInstruction check => config with { Healthcheck = Healthcheck(check) },
                ShellInstruction shell => config with { Shell = shell.Shell },
                _ => throw new ArgumentOutOfRangeException(nameof(instruction)),
            };
        }
        catch (FormatException error)
        {
            throw new DockerfileException(error.Message, new SourcePosition(instruction.Lines.First, 1));
        }

        string Text(string text) => ShellWord.Expand(text, escape, value);

        string Volume(string path) => Text(path) is { Length: > 0 } volume ? volume : throw new FormatException("VOLUME specified can not be an empty string");

        IReadOnlyList<string> Words(string text) => ShellWord.ExpandWords(text, escape, value);

        NameValue Expand(NameValue pair) => new(Text(pair.Name), Text(pair.Value));
    }

    /// <summary>An empty command takes the one of the base away.</summary>
    private static IReadOnlyList<string>? Command(ImageRunConfig config, CommandLine command) =>
        command.IsEmpty ? null : command.List ?? [.. config.Shell is { Count: > 0 } shell ? shell : s_defaultShell, command.Text];

    private static Healthcheck Healthcheck(HealthcheckInstruction instruction) => new()
    {
        Test = instruction.Command switch
        {
            null => ["NONE"],
            { List: { } list } => ["CMD", .. list],
            var command => ["CMD-SHELL", command.Text],
        },
        Interval = Nanoseconds(instruction.Interval),
        Timeout = Nanoseconds(instruction.Timeout),
        StartPeriod = Nanoseconds(instruction.StartPeriod),
        StartInterval = Nanoseconds(instruction.StartInterval),
        Retries = instruction.Retries ?? 0,
    };

    private static long Nanoseconds(TimeSpan? time) => (time ?? TimeSpan.Zero).Ticks * TimeSpan.NanosecondsPerTick;

    private static List<string> Merge(IReadOnlyList<string>? env, IEnumerable<NameValue> pairs)
    {
        List<string> merged = [.. env ?? []];
        foreach ((string name, string value) in pairs)
        {
            int at = merged.FindIndex(entry => entry.StartsWith(name + "=", StringComparison.Ordinal));
            if (at < 0)
            {
                merged.Add($"{name}={value}");
            }
            else
            {
                merged[at] = $"{name}={value}";
            }
        }

        return merged;
    }

    private static Dictionary<string, string> Merge(IReadOnlyDictionary<string, string>? labels, IEnumerable<NameValue> pairs)
    {
        Dictionary<string, string> merged = new(labels ?? new Dictionary<string, string>());
        foreach ((string name, string value) in pairs)
        {
            merged[name] = value;
        }

        return merged;
    }

    private static Dictionary<string, EmptyObject> Merge(IReadOnlyDictionary<string, EmptyObject>? set, IEnumerable<string> keys)
    {
        Dictionary<string, EmptyObject> merged = new(set ?? new Dictionary<string, EmptyObject>());
        foreach (string key in keys)
        {
            merged[key] = EmptyObject.Value;
        }

        return merged;
    }

    /// <summary><c>80</c>, <c>53/udp</c>, <c>8000-8010/tcp</c>: a range stands for each of its ports.</summary>
    private static IEnumerable<string> Ports(string text)
    {
        string[] parts = text.Split('/');
        string protocol = parts.Length == 2 ? parts[1].ToLowerInvariant() : "tcp";
        string[] range = parts[0].Split('-');
        if (parts.Length == 2 && protocol is not ("tcp" or "udp" or "sctp"))
        {
            throw new FormatException($"invalid proto: {parts[1]}");
        }

        return parts.Length <= 2 && range.Length <= 2 && Number(range[0]) is { } first && Number(range[^1]) is { } last && first <= last
            ? Enumerable.Range(first, last - first + 1).Select(port => string.Create(CultureInfo.InvariantCulture, $"{port}/{protocol}"))
            : throw new FormatException($"invalid containerPort: {text}");

        static int? Number(string port) => ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out ushort number) && number > 0 ? number : null;
    }

    /// <summary>Relative to the one before; <c>.</c> and <c>..</c> are taken out.</summary>
    private static string WorkingDirectory(string? current, string path)
    {
        List<string> parts = [];
        foreach (string part in (path.StartsWith('/') ? path : $"{current}/{path}").Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == ".." && parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("." or ".."))
            {
                parts.Add(part);
            }
        }

        return "/" + string.Join('/', parts);
    }
}
