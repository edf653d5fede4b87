using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine while it reads a paused container for a commit.</summary>
public sealed class CommitKilledTests() : FaultTest("ckill")
{
    [Fact]
    public async Task The_container_runs_on_and_nothing_of_the_image_is_left()
    {
        await Docker.Ok("run", "-d", "--name", "writer", "alpine", "sh", "-c", "head -c 400000000 /dev/zero > /large; touch /done; sleep 1000");
        await Docker.Until(text => text.Contains("/done", StringComparison.Ordinal), ["diff", "writer"]);
        await Docker.Ok("run", "-d", "--name", "paused", "alpine", "sleep", "1000");
        await Docker.Ok("pause", "paused");
        using (var commit = Docker.Start("commit", "writer", "cut:1"))
        {
            await Docker.Until(text => text.Trim() == "paused", ["inspect", "-f", "{{.State.Status}}", "writer"]);
            await Engine.Kill();
            await commit.WaitForExitAsync(Cancellation);
            Assert.NotEqual(0, commit.ExitCode);
        }

        await Engine.Start();
        Assert.Equal("running paused", $"{await Docker.Inspect("writer", "{{.State.Status}}")} {await Docker.Inspect("paused", "{{.State.Status}}")}");
        Assert.Equal("alive", await Docker.Ok("exec", "writer", "echo", "alive"));
        (await Docker.Run("image", "inspect", "cut:1")).Exited(1);
        Assert.Single(Directory.GetDirectories(Path.Combine(Engine.DataRoot, "layers")));
        Assert.Empty(Harness.Engine.Unfinished(Engine.DataRoot));
        await Docker.Ok("pause", "writer");
        await Docker.Ok("unpause", "writer");
    }
}
