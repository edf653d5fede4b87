using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Other people's clients, unmodified.</summary>
public sealed class ClientTests(SharedEngine engine) : EngineTest(engine)
{
    private static readonly string Clients = Path.Combine(Repository.Root, "tests/Conformance/clients");

    [Fact]
    public async Task Python_sdk()
    {
        var python = await FindPython();
        Cleanup(() => Docker.Run("network", "rm", "sdk-python-net"));
        Cleanup(() => Docker.Run("rm", "-f", "sdk-python", "sdk-python-server"));
        var result = (await Programs.Run(python, [Path.Combine(Clients, "python_docker.py")], limit: Programs.Limit(120), environment: Docker.Variables)).Ok();
        Assert.Equal("ok", result.Line);
    }

    [Fact]
    public async Task Dockerode()
    {
        Requirement.Check(await Works("npm", "--version"), "needs node and npm: apt-get install npm");
        // Below artifacts/, so that the checkout stays as it is and later runs find it. The registry is the machine's own setting: the
        // lock names none.
        var folder = Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts/clients")).FullName;
        foreach (var file in new[] { "package.json", "package-lock.json", "dockerode.mjs" })
        {
            File.Copy(Path.Combine(Clients, file), Path.Combine(folder, file), overwrite: true);
        }
        if (!Directory.Exists(Path.Combine(folder, "node_modules/dockerode")))
        {
            (await Programs.Run("npm", ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"], limit: Programs.Limit(120))).Ok();
        }
        Cleanup(() => Docker.Run("network", "rm", "sdk-node-net"));
        Cleanup(() => Docker.Run("rm", "-f", "sdk-node", "sdk-node-member"));
        var result = (await Programs.Run("node", [Path.Combine(folder, "dockerode.mjs")], limit: Programs.Limit(120), environment: Docker.Variables)).Ok();
        Assert.Equal("ok", result.Line);
    }

    /// <summary>Debian's package serves /usr/bin/python3; another Python may come first on PATH.</summary>
    private static async Task<string> FindPython()
    {
        foreach (var python in new[] { "/usr/bin/python3", "python3" })
        {
            if (await Works(python, "-c", "import docker"))
            {
                return python;
            }
        }
        Requirement.Check(false, "needs Docker's Python SDK: apt-get install python3-docker");
        return "";
    }

    private static async Task<bool> Works(string program, params string[] arguments)
    {
        try
        {
            return (await Programs.Run(program, arguments)).ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false; // There is no such program.
        }
    }
}
