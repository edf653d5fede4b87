namespace Slipway.Tests.Harness;

/// <summary>Where things are: the repository, the built executable, the material that may lie beside the repository.</summary>
public static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>The folder of images and rigs beside the repository, or null: what it adds is skipped then.</summary>
    public static string? Shared { get; } = FindShared();

    /// <summary>The built <c>slipway</c>: SLIPWAY_BIN, else a publish below artifacts/, else the newest build.</summary>
    public static string? Executable { get; } = FindExecutable();

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Slipway.slnx")))
            {
                return folder.FullName;
            }
        }
        throw new InvalidOperationException($"no Slipway.slnx above {AppContext.BaseDirectory}: run the tests from a checkout");
    }

    private static string? FindShared()
    {
        var folder = Environment.GetEnvironmentVariable("SLIPWAY_SHARED") ?? Path.Combine(Root, "..", "shared");
        return Directory.Exists(Path.Combine(folder, "images")) ? Path.GetFullPath(folder) : null;
    }

    private static string? FindExecutable()
    {
        if (Environment.GetEnvironmentVariable("SLIPWAY_BIN") is { Length: > 0 } named)
        {
            return named;
        }
        string[] candidates =
        [
            Path.Combine(Root, "artifacts", "install", "bin", "slipway"),
            Path.Combine(Root, "src", "Slipway.Cli", "bin", "Release", "net10.0", "slipway"),
            Path.Combine(Root, "src", "Slipway.Cli", "bin", "Debug", "net10.0", "slipway"),
        ];
        return candidates.Where(File.Exists).MaxBy(File.GetLastWriteTimeUtc);
    }
}
