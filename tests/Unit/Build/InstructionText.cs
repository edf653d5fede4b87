using System.Globalization;
using Slipway.Build.Syntax;

namespace Slipway.Tests.Unit.Build;

/// <summary>Instructions in one line each, for tables of tests.</summary>
internal static class InstructionText
{
    public static string Of(Instruction instruction) => instruction.Keyword + " " + instruction switch
    {
        RunInstruction run => string.Concat(run.Mounts.Select(mount => Of(mount) + " ")) + Optional("net=", run.Network) + Optional("sec=", run.Security) + Of(run.Command) + Of(run.Heredocs),
        CopyInstruction copy => Optional("from=", copy.From) + Of((TransferInstruction)copy),
        AddInstruction add => Optional("sum=", add.Checksum) + (add.KeepGitDirectory ? "git " : "") + Optional("unpack=", add.Unpack?.ToString()) + Of((TransferInstruction)add),
        EnvInstruction env => Of(env.Variables),
        LabelInstruction label => Of(label.Labels),
        ArgInstruction arg => string.Join(' ', arg.Arguments.Select(argument => argument.Value is null ? argument.Name : $"{argument.Name}={argument.Value}")),
        ExposeInstruction expose => string.Join(' ', expose.Ports),
        VolumeInstruction volume => string.Join(' ', volume.Paths),
        UserInstruction user => user.User,
        WorkdirInstruction workdir => workdir.Path,
        CmdInstruction cmd => Of(cmd.Command),
        EntrypointInstruction entrypoint => Of(entrypoint.Command),
        ShellInstruction shell => string.Join('|', shell.Shell),
        StopsignalInstruction stopsignal => stopsignal.Signal,
        MaintainerInstruction maintainer => maintainer.Name,
        OnbuildInstruction onbuild => $"({onbuild.Trigger})",
        HealthcheckInstruction check => string.Concat(new[] { check.Interval, check.Timeout, check.StartPeriod, check.StartInterval }.Select(Seconds))
            + Optional("", check.Retries?.ToString(CultureInfo.InvariantCulture)) + (check.Command is null ? "none" : Of(check.Command)),
        _ => throw new ArgumentOutOfRangeException(nameof(instruction)),
    };

    private static string Of(CommandLine command) => command.List is null ? $"sh({command.Text})" : $"exec({string.Join('|', command.List)})";

    private static string Of(IEnumerable<NameValue> pairs) => string.Join(' ', pairs.Select(pair => $"{pair.Name}={pair.Value}"));

    private static string Of(IEnumerable<Heredoc> heredocs) => string.Concat(heredocs.Select(heredoc =>
        $" <{heredoc.Name}{(heredoc.Expands ? " expand" : "")}{(heredoc.FileDescriptor == 0 ? "" : $" {heredoc.FileDescriptor}")}>{heredoc.Content.Replace("\n", "\\n", StringComparison.Ordinal)}"));

    private static string Of(TransferInstruction transfer) =>
        Optional("owner=", transfer.Owner) + Optional("mode=", transfer.Mode) + (transfer.Link ? "link " : "") + (transfer.Parents ? "parents " : "")
        + string.Concat(transfer.Excludes.Select(exclude => $"-{exclude} ")) + $"{string.Join(' ', transfer.Sources)} -> {transfer.Destination}" + Of(transfer.Heredocs);

    private static string Of(RunMount mount)
    {
        List<string?> parts =
        [
            mount.Target, Named("id", mount.Id), Named("from", mount.From), Named("source", mount.Source), mount.ReadOnly switch { true => "ro", false => "rw", null => null },
            mount.Sharing == CacheSharing.Shared ? null : mount.Sharing.ToString().ToLowerInvariant(), mount.Required ? "required" : null, Named("env", mount.Variable),
            Named("uid", mount.UserId), Named("gid", mount.GroupId), Named("mode", mount.Mode), Named("size", mount.Size),
        ];
        return $"{mount.Type.ToString().ToLowerInvariant()}({string.Join(' ', parts.OfType<string>())})";
    }

    private static string? Named(string name, string? value) => value is null ? null : $"{name}={value}";

    private static string Optional(string prefix, string? value) => value is null ? "" : $"{prefix}{value} ";

    private static string Seconds(TimeSpan? time) => time is { } set ? string.Create(CultureInfo.InvariantCulture, $"{set.TotalSeconds}s ") : "";
}
