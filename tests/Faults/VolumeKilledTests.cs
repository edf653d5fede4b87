using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine at any instant of a volume's life.</summary>
public sealed class VolumeKilledTests() : FaultTest("vkill")
{
    private const int InCi = 12;
    private const int Files = 300;

    [Fact]
    public async Task No_kill_leaves_half_a_copy_an_orphan_or_a_mount()
    {
        await Docker.Ok("run", "--name", "filled", "alpine", "sh", "-c", $"mkdir /data; i=0; while [ $i -lt {Files} ]; do echo x > /data/$i; i=$((i+1)); done");
        await Docker.Ok("commit", "filled", "filled:1");
        await Docker.Ok("rm", "filled");
        await Docker.Ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory");
        var random = new Random(Environment.ProcessId);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            // Everything that makes, fills, mounts and removes volumes, one after the other, from a random place on.
            string[] verbs =
            [
                $"create --name a{round} -v /data -v /other -v named{round}:/data2 filled:1", $"create --name b{round} -v full{round}:/data filled:1", $"rm -v a{round}",
                "run --rm -v memory:/m -v /data filled:1 true", $"rm b{round}", $"volume rm named{round}", "volume prune -f",
            ];
            var first = random.Next(verbs.Length);
            var script = string.Join('\n', Enumerable.Range(0, verbs.Length).Select(i => $"{Docker.Path} {verbs[(first + i) % verbs.Length]}"));
            await KillWhile(script, TimeSpan.FromMilliseconds(400), random, Docker.Variables);
            await Consistent(round);
        }
    }

    private async Task Consistent(int round)
    {
        await TemporaryFolderEmpties();
        var volumes = (await Docker.Run("volume", "ls", "-q")).Ok().Lines;
        Assert.Equal(volumes.Order(StringComparer.Ordinal), Directory.GetDirectories(Path.Combine(Engine.DataRoot, "volumes")).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        // Nobody would ever remove a volume without a name whose container was never there.
        Assert.Empty((await Docker.Run("volume", "ls", "-q", "--filter", "dangling=true", "--filter", "label=com.docker.volume.anonymous")).Ok().Lines);
        foreach (var volume in volumes.Where(name => name.StartsWith("full", StringComparison.Ordinal)))
        {
            var count = Directory.GetFiles(Path.Combine(Engine.DataRoot, "volumes", volume, "_data")).Length;
            Assert.True(count is 0 or Files, $"round {round}: {volume} has {count} of {Files} files");
        }

        var running = (await Docker.Run("ps", "-q", "--filter", "volume=memory")).Ok().Lines.Length;
        var mounts = File.ReadLines("/proc/self/mountinfo").Count(line => line.Split(' ')[4].StartsWith(Engine.DataRoot + "/", StringComparison.Ordinal));
        Assert.True(running > 0 || mounts == 0, $"round {round}: {mounts} mounts, and no container has them");
    }
}
