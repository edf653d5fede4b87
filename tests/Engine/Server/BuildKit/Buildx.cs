using System.Diagnostics;
using Xunit;

namespace Slipway.Tests.Engine.Server.BuildKit;

/// <summary>Docker's clients of BuildKit, unmodified, of the machine or of Debian 13.</summary>
internal static class Buildx
{
    private static readonly SemaphoreSlim s_fetching = new(1);

    /// <summary>Runs <c>docker ARGUMENTS</c> in a folder, with the plugin, against a server.</summary>
    public static async Task<(int Exit, string Output, string Error)> RunAsync(
        ServerUnderTest server, string folder, string[] arguments, byte[]? input = null, Action<Process>? started = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        string plugin = await PluginAsync();
        string plugins = Path.Combine(server.PathOf("config"), "cli-plugins");
        Directory.CreateDirectory(plugins);
        File.Delete(Path.Combine(plugins, "docker-buildx"));
        File.CreateSymbolicLink(Path.Combine(plugins, "docker-buildx"), plugin);
        ProcessStartInfo start = new("docker", arguments) { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOCKER_HOST"] = "unix://" + server.SocketPath;
        start.Environment["DOCKER_CONFIG"] = server.PathOf("config");
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        started?.Invoke(process);
        await process.StandardInput.BaseStream.WriteAsync(input ?? [], TestContext.Current.CancellationToken);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
    }

    /// <summary>Installed, or fetched once below artifacts/ by what the shared folder has.</summary>
    private static async Task<string> PluginAsync()
    {
        string root = Root();
        string fetched = Path.Combine(root, "artifacts/peers/usr/libexec/docker/cli-plugins/docker-buildx");
        string[] installed = ["/usr/libexec/docker/cli-plugins/docker-buildx", "/usr/lib/docker/cli-plugins/docker-buildx", "/usr/local/lib/docker/cli-plugins/docker-buildx"];
        await s_fetching.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            if (File.Exists(fetched))
            {
                return fetched;
            }

            if (installed.FirstOrDefault(File.Exists) is { } found)
            {
                return found;
            }

            string script = Path.Combine(Environment.GetEnvironmentVariable("SLIPWAY_SHARED") ?? Path.Combine(root, "../shared"), "peers/debian13");
            Assert.SkipUnless(File.Exists(script), "needs docker-buildx: Debian 13's package docker-buildx");
            using Process fetching = Process.Start("bash", [script, Path.Combine(root, "artifacts/peers"), "docker-buildx"]);
            await fetching.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(File.Exists(fetched), "docker-buildx could not be fetched");
            return fetched;
        }
        finally
        {
            s_fetching.Release();
        }
    }

    private static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Slipway.slnx")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("no repository above the tests");
    }
}
