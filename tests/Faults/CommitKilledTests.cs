using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine while it reads a paused container for a commit.</summary>
public sealed class CommitKilledTests() : FaultTest("ckill")
{
    private const int InCi = 2;

    [Fact]
    public async Task The_container_runs_on_and_nothing_of_the_image_is_left()
    {
        await Docker.Ok("run", "-d", "--name", "writer", "alpine", "sh", "-c", "head -c 400000000 /dev/zero > /large; touch /done; sleep 1000");
        await Docker.Until(text => text.Contains("/done", StringComparison.Ordinal), ["diff", "writer"]);
        await Docker.Ok("run", "-d", "--name", "paused", "alpine", "sleep", "1000");
        await Docker.Ok("pause", "paused");
        var random = new Random(Rounds.Seed);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            var where = $"seed {Rounds.Seed}, round {round}";
            using (var commit = Docker.Start("commit", "writer", "cut:1"))
            {
                await Docker.Until(text => text.Trim() == "paused", ["inspect", "-f", "{{.State.Status}}", "writer"]);
                await Task.Delay(random.Next(round == 0 ? 1 : 600), Cancellation);
                await Engine.Kill();
                await commit.WaitForExitAsync(Cancellation);
                await Engine.Start();
                if (commit.ExitCode == 0)
                {
                    // The client was told of the image before the engine was gone.
                    await Docker.Ok("rmi", "cut:1");
                }
            }

            Assert.True(
                $"{await Docker.Inspect("writer", "{{.State.Status}}")} {await Docker.Inspect("paused", "{{.State.Status}}")}" == "running paused", where);
            Assert.Equal("alive", await Docker.Ok("exec", "writer", "echo", "alive"));

            // Made, and nobody told of it: as whole as any, or not there.
            if ((await Docker.Run("image", "inspect", "cut:1")).ExitCode == 0)
            {
                Assert.Equal("400000000", await Docker.Ok("run", "--rm", "cut:1", "stat", "-c", "%s", "/large"));
                await Docker.Ok("rmi", "cut:1");
            }

            Assert.True(Directory.GetDirectories(Path.Combine(Engine.DataRoot, "layers")).Length == 1, $"{where}: a layer is left");
            await TemporaryFolderEmpties();
        }

        await Docker.Ok("pause", "writer");
        await Docker.Ok("unpause", "writer");
    }
}
