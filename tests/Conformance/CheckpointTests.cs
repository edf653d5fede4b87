using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker checkpoint` and `start --checkpoint`: as with a dockerd that has its experimental features switched off.</summary>
public sealed class CheckpointTests(SharedEngine engine) : EngineTest(engine)
{
    [Fact]
    public async Task The_client_tells_that_checkpoints_are_experimental()
    {
        var name = await Sleeper();
        foreach (var verb in new[] { "create", "ls", "rm" })
        {
            var refused = await Docker.Run(["checkpoint", verb, name, .. verb == "ls" ? Array.Empty<string>() : ["one"]]);
            Assert.Equal(1, refused.ExitCode);
            Assert.Contains("only supported on a Docker daemon with experimental features enabled", refused.Error, StringComparison.Ordinal);
        }

        Assert.Contains("only supported on a Docker daemon with experimental features enabled", (await Docker.Run("start", "--checkpoint", "one", name)).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task So_does_the_engine()
    {
        var name = Container();
        await Docker.Ok("create", "--name", name, "alpine", "true");
        var answer = (await Programs.Run("curl", ["-s", "-X", "POST", "--unix-socket", Docker.Socket, $"http://x/v1.45/containers/{name}/start?checkpoint=one"])).Ok().Output;
        Assert.Contains("checkpoint is only supported in experimental mode", answer, StringComparison.Ordinal);
        foreach (var (method, path) in new[] { ("GET", ""), ("POST", ""), ("DELETE", "/one") })
        {
            var refused = (await Programs.Run("curl", ["-s", "-w", "%{http_code}", "-X", method, "--unix-socket", Docker.Socket, $"http://x/v1.45/containers/{name}/checkpoints{path}"])).Ok().Output;
            Assert.Contains("This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.", refused, StringComparison.Ordinal);
            Assert.EndsWith("501", refused, StringComparison.Ordinal);
        }
    }
}
