namespace Slipway.Tests.Harness;

/// <summary>
/// An image of Debian with apt, made of packages from where this host gets its own: the sources are the host's, so that no test names a registry.
/// </summary>
public static class DebianImage
{
    public const string Name = "debian:bookworm-slim";

    private static readonly string[] s_sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

    public static async Task Import(Docker docker)
    {
        Requirement.Program("mmdebstrap", "mmdebstrap");
        var sources = s_sources.FirstOrDefault(path => File.Exists(path) && new FileInfo(path).Length > 0);
        Requirement.Check(sources is not null, $"needs Debian's package sources in one of {string.Join(", ", s_sources)}");
        var release = (await File.ReadAllLinesAsync("/etc/os-release")).First(line => line.StartsWith("VERSION_CODENAME=", StringComparison.Ordinal)).Split('=')[1];
        var archive = Path.Combine(Path.GetTempPath(), $"slipway-debian-{Environment.ProcessId}.tar");
        try
        {
            // Pages of manuals and translations are half of what has to be unpacked.
            string[] excluded = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"];
            var made = await Programs.Run(
                "mmdebstrap",
                ["--quiet", "--variant=apt", .. excluded.Select(path => $"--dpkgopt=path-exclude={path}"), release, archive, sources!],
                limit: Programs.Limit(300));
            Requirement.Check(made.ExitCode == 0, $"needs Debian's packages, which apt could not get here:\n{made.Error}");
            (await docker.RunFor(Programs.Limit(120), "import", archive, Name)).Ok();
        }
        finally
        {
            File.Delete(archive);
        }
    }
}
