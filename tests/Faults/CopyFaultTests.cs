using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Copies that are cut: by the end of the engine, of the client, of the container.</summary>
public sealed class CopyFaultTests() : FaultTest("cpkill")
{
    private const int InCi = 20;

    [Fact]
    public async Task After_copies_that_were_cut_containers_start_and_nothing_is_left()
    {
        var folder = Directory.CreateTempSubdirectory("slipway-cp-").FullName;
        await using var large = new FileStream(Path.Combine(folder, "large"), FileMode.Create);
        large.SetLength(300 << 20);
        await Docker.Ok("run", "-d", "--name", "stopped", "-v", "vol:/vol", "alpine", "sleep", "1000");
        await Docker.Ok("stop", "-t", "0", "stopped");
        await Docker.Ok("run", "-d", "--name", "running", "-v", "vol:/vol", "alpine", "sleep", "1000");
        await Docker.Ok("cp", large.Name, "running:/large");
        await Docker.Ok("cp", large.Name, "stopped:/vol");
        var before = await Footprint.Settled(Engine);
        var random = new Random(Rounds.Seed);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            string[] arguments = (round % 4) switch
            {
                0 => ["cp", large.Name, "stopped:/vol"],
                1 => ["cp", large.Name, "running:/large"],
                2 => ["cp", "running:/large", Path.Combine(folder, "out")],
                _ => ["cp", "stopped:/bin", Path.Combine(folder, "bin")],
            };
            using var copy = Docker.Start(arguments);
            await Task.Delay(random.Next(0, 120), Cancellation);
            if (round % 5 == 4)
            {
                await Engine.Kill();
                await copy.WaitForExitAsync(Cancellation);
                await Engine.Start();
            }
            else
            {
                copy.Kill();
                await copy.WaitForExitAsync(Cancellation);
            }
        }

        // The lock of the container that does not run has been let go, whoever was cut.
        await Docker.Ok("start", "stopped");
        Assert.Equal("alive", await Docker.Ok("exec", "stopped", "echo", "alive"));
        await Docker.Ok("stop", "-t", "0", "stopped");
        Assert.Equal("alive", await Docker.Ok("exec", "running", "echo", "alive"));
        await Docker.Ok("cp", "stopped:/etc/passwd", folder);
        (await Footprint.Settled(Engine, before)).EqualTo(before);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_container_that_ends_or_is_removed_while_it_is_copied_from_is_ended_and_removed()
    {
        await Docker.Ok("run", "-d", "--name", "first", "alpine", "sh", "-c", "head -c 200000000 /dev/zero > /large; sleep 1000");
        await Docker.Until(text => text.Contains("200000000", StringComparison.Ordinal), ["exec", "first", "stat", "-c", "%s", "/large"]);
        using (var copy = Docker.Start("cp", "first:/large", "-"))
        {
            // Nobody reads what the copy writes: it stands in the middle.
            await copy.StandardOutput.BaseStream.ReadExactlyAsync(new byte[100_000], Cancellation);
            await Docker.Ok("kill", "first");
            await Docker.Ok("wait", "first");
            var left = new MemoryStream();
            await copy.StandardOutput.BaseStream.CopyToAsync(left, Cancellation);
            await copy.WaitForExitAsync(Cancellation);
            Assert.Equal((0, true), (copy.ExitCode, left.Length + 100_000 > 200_000_000));
        }

        await Docker.Ok("start", "first");
        await Docker.Until(text => text.Contains("200000000", StringComparison.Ordinal), ["exec", "first", "stat", "-c", "%s", "/large"]);
        using (var copy = Docker.Start("cp", "first:/large", "-"))
        {
            await copy.StandardOutput.BaseStream.ReadExactlyAsync(new byte[100_000], Cancellation);
            await Docker.Ok("rm", "-f", "first");
            copy.Kill();
        }

        Assert.Empty(Harness.Engine.Unfinished(Engine.DataRoot));
        Assert.Equal("", await Docker.Ok("ps", "-aq"));
    }
}
