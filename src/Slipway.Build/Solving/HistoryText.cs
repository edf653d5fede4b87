using System.Globalization;
using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>How an instruction is written into an image's history.</summary>
public abstract class HistoryText
{
    public static HistoryText BuildKit { get; } = new BuildKitText();

    public static HistoryText Classic { get; } = new ClassicText();

    public abstract string? Comment { get; }

    /// <param name="arguments">Build arguments it got as variables.</param>
    /// <param name="hasProxies">It got others, which are not told.</param>
    public abstract string Run(IReadOnlyList<string> command, IReadOnlyList<string> arguments, bool hasProxies);

    /// <param name="kind">Of what was read: <c>file</c>, <c>dir</c>, <c>multi</c>.</param>
    public abstract string Transfer(TransferOperation operation, string kind, Digest content, ImageRunConfig config);

    /// <param name="config">With what the instruction changes.</param>
    public abstract string Configuration(string text, ImageRunConfig config, bool changesFiles);

    /// <summary>An instruction that changes the configuration, its variables replaced.</summary>
    /// <param name="config">Before it.</param>
    public static string Describe(Instruction instruction, ImageRunConfig config, Func<string, string> expand) => instruction switch
    {
        CmdInstruction cmd => $"CMD {Command(cmd.Command, config)}",
        EntrypointInstruction entrypoint => $"ENTRYPOINT {Command(entrypoint.Command, config)}",
        EnvInstruction env => "ENV " + string.Join(' ', env.Variables.Select(pair => $"{expand(pair.Name)}={expand(pair.Value)}")),
        LabelInstruction { IsLiteral: true } label => "LABEL " + string.Join(' ', label.Labels.Select(pair => $"{pair.Name}={pair.Value}")),
        LabelInstruction label => "LABEL " + string.Join(' ', label.Labels.Select(pair => $"{expand(pair.Name)}={expand(pair.Value)}")),
        ExposeInstruction expose => "EXPOSE " + string.Join(' ', expose.Ports.Order(StringComparer.Ordinal).Select(expand)),
        HealthcheckInstruction check => "HEALTHCHECK " + Healthcheck(check),
        VolumeInstruction volume => $"VOLUME [{string.Join(' ', volume.Paths.Select(expand))}]",
        UserInstruction user => $"USER {expand(user.User)}",
        StopsignalInstruction signal => $"STOPSIGNAL {expand(signal.Signal)}",
        ShellInstruction shell => $"SHELL [{string.Join(' ', shell.Shell)}]",
        OnbuildInstruction onbuild => $"ONBUILD {onbuild.Trigger}",
        MaintainerInstruction maintainer => $"MAINTAINER {maintainer.Name}",
        ArgInstruction arg => "ARG " + string.Join(' ', arg.Arguments.Select(argument => argument.Value is null ? argument.Name : $"{argument.Name}={expand(argument.Value)}")),
        _ => instruction.Original,
    };

    /// <summary>Go's <c>%q</c> of the structure that Docker keeps of it.</summary>
    private static string Healthcheck(HealthcheckInstruction check)
    {
        IReadOnlyList<string> test = check.Command is not { } command ? ["NONE"] : command.List is { } list ? ["CMD", .. list] : ["CMD-SHELL", command.Text];
        string times = string.Join(' ', new[] { check.Interval, check.Timeout, check.StartPeriod, check.StartInterval }.Select(time => $"\"{GoDuration.Format(time ?? TimeSpan.Zero)}\""));
        return $"&{{{Quoted(test)} {times} {GoQuote.Of(check.Retries ?? 0)}}}";
    }

    private static string Command(CommandLine command, ImageRunConfig config) => Quoted(command.List ?? [.. ShellOf(config), command.Text]);

    private static IReadOnlyList<string> ShellOf(ImageRunConfig config) => config.Shell is { Count: > 0 } shell ? shell : ["/bin/sh", "-c"];

    /// <summary>Go's <c>%q</c> of a list.</summary>
    private static string Quoted(IEnumerable<string> words) => $"[{string.Join(' ', words.Select(GoQuote.Of))}]";

    private static string WithArguments(IReadOnlyList<string> command, IReadOnlyList<string> arguments, bool countsNone) =>
        string.Join(' ', arguments.Count == 0 && !countsNone ? command : [string.Create(CultureInfo.InvariantCulture, $"|{arguments.Count}"), .. arguments, .. command]);

    private sealed class BuildKitText : HistoryText
    {
        public override string? Comment => "buildkit.dockerfile.v0";

        public override string Run(IReadOnlyList<string> command, IReadOnlyList<string> arguments, bool hasProxies) => $"RUN {WithArguments(command, arguments, countsNone: false)} # buildkit";

        public override string Transfer(TransferOperation operation, string kind, Digest content, ImageRunConfig config) => $"{operation.Description} # buildkit";

        public override string Configuration(string text, ImageRunConfig config, bool changesFiles) => text;
    }

    private sealed class ClassicText : HistoryText
    {
        public override string? Comment => null;

        public override string Run(IReadOnlyList<string> command, IReadOnlyList<string> arguments, bool hasProxies) => WithArguments(command, arguments, hasProxies);

        public override string Transfer(TransferOperation operation, string kind, Digest content, ImageRunConfig config) =>
            $"{Shell(config)} #(nop) {(operation.IsAdd ? "ADD" : "COPY")} {Option("chown", operation.Owner)}{Option("chmod", operation.Mode)}{kind}:{content.Hex} in {operation.WrittenDestination} ";

        public override string Configuration(string text, ImageRunConfig config, bool changesFiles) => $"{Shell(config)} #(nop) {(changesFiles ? "" : " ")}{text}";

        private static string Option(string name, string? value) => value is null ? "" : $"--{name}={value} ";

        private static string Shell(ImageRunConfig config) => string.Join(' ', ShellOf(config));
    }
}
