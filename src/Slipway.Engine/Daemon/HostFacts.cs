using System.Globalization;
using System.Runtime.InteropServices;

namespace Slipway.Engine.Daemon;

/// <summary>What does not change while the engine runs: the machine and its system.</summary>
internal sealed record HostFacts
{
    public required string KernelVersion { get; init; }

    /// <summary>PRETTY_NAME of os-release(5).</summary>
    public required string OperatingSystem { get; init; }

    /// <summary>VERSION_ID of os-release(5).</summary>
    public required string OsVersion { get; init; }

    /// <summary>As uname(2) names it: x86_64.</summary>
    public required string Machine { get; init; }

    /// <summary>As images name it: amd64.</summary>
    public required string Architecture { get; init; }

    /// <summary>Those this process may run on.</summary>
    public required int Cpus { get; init; }

    /// <summary>Bytes.</summary>
    public required long Memory { get; init; }

    public static HostFacts Read()
    {
        Dictionary<string, string> release = OsRelease();
        return new HostFacts
        {
            KernelVersion = File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
            OperatingSystem = release.GetValueOrDefault("PRETTY_NAME", "Linux"),
            OsVersion = release.GetValueOrDefault("VERSION_ID", ""),
            Machine = RuntimeInformation.OSArchitecture switch
            {
                System.Runtime.InteropServices.Architecture.X64 => "x86_64",
                System.Runtime.InteropServices.Architecture.Arm64 => "aarch64",
                var other => other.ToString().ToLowerInvariant(),
            },
            Architecture = Oci.Platform.Host.Architecture,
            Cpus = Environment.ProcessorCount,
            Memory = MemoryTotal(File.ReadLines("/proc/meminfo")),
        };
    }

    /// <summary>os-release(5): <c>NAME="value"</c> lines; the second file is for systems without the first.</summary>
    internal static Dictionary<string, string> ParseOsRelease(IEnumerable<string> lines)
    {
        Dictionary<string, string> values = new(StringComparer.Ordinal);
        foreach (string line in lines)
        {
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0 && line[0] != '#')
            {
                values[line[..equals]] = line[(equals + 1)..].Trim().Trim('"', '\'');
            }
        }

        return values;
    }

    /// <summary>MemTotal of proc_meminfo(5), which is in kibibytes, in bytes; 0 where it is not there.</summary>
    internal static long MemoryTotal(IEnumerable<string> lines)
    {
        const string Field = "MemTotal:";
        string? line = lines.FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal));
        string[] words = line?[Field.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
        return words.Length > 0 && long.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out long kibibytes) ? kibibytes * 1024 : 0;
    }

    private static Dictionary<string, string> OsRelease()
    {
        foreach (string path in (ReadOnlySpan<string>)["/etc/os-release", "/usr/lib/os-release"])
        {
            if (File.Exists(path))
            {
                return ParseOsRelease(File.ReadLines(path));
            }
        }

        return [];
    }
}
