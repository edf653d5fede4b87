using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Other people's clients, unmodified.</summary>
public sealed class ClientTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task Python_sdk()
    {
        var python = await FindPython();
        Cleanup(() => Docker.Run("network", "rm", "sdk-python-net"));
        Cleanup(() => Docker.Run("rm", "-f", "sdk-python", "sdk-python-server"));
        var result = (await Programs.Run(python, [Path.Combine(NodeClients.Sources, "python_docker.py")], limit: Programs.Limit(120), environment: Docker.Variables)).Ok();
        Assert.Equal("ok", result.Line);
    }

    [Fact]
    public async Task Dockerode()
    {
        await NodeClients.RequireAsync(version: 18);
        Cleanup(() => Docker.Run("network", "rm", "sdk-node-net"));
        Cleanup(() => Docker.Run("rm", "-f", "sdk-node", "sdk-node-member"));
        var result = (await NodeClients.Run("dockerode.mjs", [], Docker.Variables)).Ok();
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
