using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Cli.Options;

/// <summary>Flags whose value is a pair or a small record in text.</summary>
internal static class KeyValues
{
    public static Dictionary<string, string> Pairs(IEnumerable<string> values) => Labels(null, values);

    public static Dictionary<string, string> Labels(Dictionary<string, string>? existing, IEnumerable<string> values)
    {
        Dictionary<string, string> labels = existing ?? [];
        foreach (string value in values)
        {
            string[] parts = value.Split('=', 2);
            labels[parts[0]] = parts.Length > 1 ? parts[1] : "";
        }

        return labels;
    }

    /// <summary>A name without a value takes it from the caller's environment, and is left out where it has none there.</summary>
    public static List<string> Environment(IEnumerable<string> values)
    {
        List<string> environment = [];
        foreach (string value in values)
        {
            if (value.Length == 0 || value[0] == '=')
            {
                throw new CommandException($"invalid argument \"{value}\" for \"-e, --env\" flag: invalid environment variable: {value}");
            }

            if (value.Contains('=', StringComparison.Ordinal))
            {
                environment.Add(value);
            }
            else if (System.Environment.GetEnvironmentVariable(value) is { } own)
            {
                environment.Add($"{value}={own}");
            }
        }

        return environment;
    }

    /// <summary>The lines of files, without blank ones and comments.</summary>
    public static IEnumerable<string> Files(IEnumerable<string> paths) => paths.SelectMany(Lines);

    /// <summary><c>name=soft[:hard]</c>.</summary>
    public static Ulimit ParseUlimit(string text)
    {
        string[] parts = text.Split('=', 2);
        string[] limits = parts.Length == 2 ? parts[1].Split(':', 2) : [];
        return limits.Length > 0 && long.TryParse(limits[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long soft)
            && long.TryParse(limits[^1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long hard)
            ? soft <= hard || hard == -1 ? new Ulimit(parts[0], hard, soft) : throw new CommandException($"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
            : throw new CommandException($"invalid ulimit argument: {text}");
    }

    /// <summary><c>host[:container][:rwm]</c>.</summary>
    public static DeviceMapping ParseDevice(string text)
    {
        string[] parts = text.Split(':');
        return parts switch
        {
            [var host] => new DeviceMapping(host, host, "rwm"),
            [var host, var second] when second.Length <= 3 && second.All("rwm".Contains) => new DeviceMapping(host, host, second),
            [var host, var inside] => new DeviceMapping(host, inside, "rwm"),
            [var host, var inside, var access] => new DeviceMapping(host, inside, access),
            _ => throw new CommandException($"invalid device specification: {text}"),
        };
    }

    private static IEnumerable<string> Lines(string path)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"open {path}: {exception.Message}");
        }

        return lines.Select(line => line.TrimStart()).Where(line => line.Length > 0 && line[0] != '#');
    }
}
