using Xunit;

namespace Slipway.Tests.Kernel.Storage;

/// <summary>Images made by others, which the project does not ship: see CONTRIBUTING.md.</summary>
internal static class Samples
{
    public static string? Directory { get; } = Find();

    public static string Path(string name) => System.IO.Path.Combine(Directory!, "images", name);

    public static FileStream Open(string name)
    {
        Assert.SkipWhen(Directory is null, "SLIPWAY_SHARED does not lead to a folder with images/");
        return File.OpenRead(Path(name));
    }

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("SLIPWAY_SHARED") is { Length: > 0 } given)
        {
            return given;
        }

        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(directory.FullName, "Slipway.slnx")))
            {
                var shared = System.IO.Path.Combine(directory.FullName, "..", "shared");
                return System.IO.Directory.Exists(System.IO.Path.Combine(shared, "images")) ? shared : null;
            }
        }

        return null;
    }
}
