namespace Slipway.Tests.Harness;

/// <summary>Plugins of the docker CLI: the machine's, or those of Debian 13, which the shared folder tells how to get.</summary>
public static class CliPlugins
{
    private static readonly SemaphoreSlim s_fetching = new(1);

    /// <summary>A folder for DOCKER_CONFIG that has the plugin.</summary>
    /// <param name="name"><c>docker-buildx</c>, <c>docker-compose</c>.</param>
    public static async Task<string> Configuration(string name)
    {
        var found = await Find(name);
        var folder = Path.Combine(Path.GetTempPath(), $"slipway-plugins-{Environment.ProcessId}");
        await s_fetching.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            var link = Path.Combine(folder, "cli-plugins", name);
            if (!File.Exists(link))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(link)!);
                File.CreateSymbolicLink(link, found);
                AppDomain.CurrentDomain.ProcessExit += (_, _) => Remove(folder);
            }

            return folder;
        }
        finally
        {
            s_fetching.Release();
        }
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<string> Find(string name)
    {
        var fetched = Path.Combine(Repository.Root, "artifacts/peers/usr/libexec/docker/cli-plugins", name);
        await s_fetching.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            string[] folders = ["/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/local/lib/docker/cli-plugins"];
            if (!File.Exists(fetched) && folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists) is { } installed)
            {
                return installed;
            }

            if (!File.Exists(fetched))
            {
                var script = Path.Combine(Requirement.Shared(), "peers/debian13");
                (await Programs.Run("bash", [script, Path.Combine(Repository.Root, "artifacts/peers"), name], limit: Programs.Limit(120))).Ok();
            }

            return fetched;
        }
        finally
        {
            s_fetching.Release();
        }
    }
}
