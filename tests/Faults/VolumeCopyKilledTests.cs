using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine while volumes of a size are made, and volumes are copied and renamed.</summary>
public sealed class VolumeCopyKilledTests() : FaultTest("vckil")
{
    private const int InCi = 12;
    private const int Files = 200;

    [Fact]
    public async Task No_kill_leaves_half_a_copy_a_device_a_mount_or_a_paused_container()
    {
        await Docker.Ok("run", "--rm", "-v", "plain:/data", "alpine", "sh", "-c", $"for i in $(seq {Files}); do echo x > /data/$i; done");
        await Docker.Ok("volume", "create", "-o", "size=16m", "sized");
        await Docker.Ok("run", "-d", "--name", "user", "-v", "plain:/plain", "-v", "sized:/data", "alpine", "sh", "-c", $"for i in $(seq {Files}); do echo x > /data/$i; done; exec sleep 10000");
        await Docker.Until(text => text.Trim() == $"{Files}", ["exec", "user", "sh", "-c", "ls /data | wc -l"]);
        var random = new Random(Environment.ProcessId);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            string[] verbs =
            [
                $"clone plain a{round}", $"clone sized b{round}", $"clone --size 8m plain c{round}", $"create --size 8m d{round}", $"rename a{round} A{round}", $"rename b{round} B{round}",
                $"rm A{round}", $"snapshot plain s{round}", $"rm c{round} B{round}",
            ];
            var first = random.Next(verbs.Length);
            var script = string.Join('\n', Enumerable.Range(0, verbs.Length).Select(i => $"{Repository.Executable} -H unix://{Docker.Socket} volume {verbs[(first + i) % verbs.Length]}"));
            await KillWhile(script, TimeSpan.FromMilliseconds(600), random);
            await Consistent(round);
        }
    }

    private async Task Consistent(int round)
    {
        await TemporaryFolderEmpties();
        var volumes = (await Docker.Run("volume", "ls", "-q")).Ok().Lines;
        Assert.Equal(volumes.Order(StringComparer.Ordinal), Directory.GetDirectories(Path.Combine(Engine.DataRoot, "volumes")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        await Docker.Until(text => text.Trim() == "running", ["inspect", "-f", "{{.State.Status}}", "user"]);

        // The one that the container has mounted, and no other.
        var mounted = File.ReadLines("/proc/self/mountinfo").Select(line => line.Split(' ')[4]).Where(path => path.StartsWith(Engine.DataRoot + "/", StringComparison.Ordinal));
        Assert.Equal([$"{Engine.DataRoot}/volumes/sized/_data"], mounted);
        var backed = Directory.GetDirectories("/sys/block", "loop*").Select(device => Path.Combine(device, "loop/backing_file")).Where(File.Exists).Select(ReadOrNothing)
            .Where(path => path.StartsWith(Engine.DataRoot + "/", StringComparison.Ordinal)).ToList();
        Assert.True(backed.Count == 1, $"round {round}: {string.Join(", ", backed)}");
        foreach (var volume in volumes.Where(name => name[0] is 'a' or 'A' or 's' && name != "sized"))
        {
            Assert.Equal(Files, Directory.GetFiles(Path.Combine(Engine.DataRoot, "volumes", volume, "_data")).Length);
        }

        if (round % 10 == 9)
        {
            foreach (var volume in volumes.Where(name => name[0] is 'b' or 'B' or 'c'))
            {
                Assert.Equal($"{Files}", (await Docker.Ok("run", "--rm", "--network", "none", "-v", $"{volume}:/v", "alpine", "sh", "-c", "ls /v | wc -l")).Trim());
            }
        }
    }

    private static string ReadOrNothing(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return ""; // The device was let go of while the list was read.
        }
    }
}
