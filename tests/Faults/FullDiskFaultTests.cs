using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Faults;

/// <summary>
/// The disk of the data root, a file system of its own on a loop device, fills up at a random instant of an operation: that one fails in words that say why, or succeeds;
/// states are truthful, the bystander runs on, and with room again all goes on and nothing is left over.
/// </summary>
public sealed class FullDiskFaultTests : IAsyncLifetime
{
    private const int Megabytes = 160;
    private const int InCi = 1;

    /// <summary>More than a pipe and the supervisor's buffers hold.</summary>
    private const int Lines = 60_000;

    private const string Repository = "full/app";

    private readonly Engine _engine = new("fulla");
    private readonly SlipwayRegistry _registry = new();
    private readonly string _file = Path.GetTempFileName();
    private SmallDisk _disk = null!;

    private Docker Docker => _engine.Docker;

    private string Image => $"{_registry.Host}/{Repository}:1";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _disk = await SmallDisk.MountLoop(_engine.DataRoot, Megabytes);
        await _engine.Start();
        await AlpineImage.Import(Docker);
        await Docker.Ok("run", "--rm", "alpine", "true");
        await _registry.InitializeAsync();
        await _registry.Http.PutImage(Repository, "1", [.. Enumerable.Range(1, 4).Select(seed => RegistryLayer.Random(seed, 600_000))]);
        await using var file = File.OpenWrite(_file);
        file.Write(new byte[12 << 20]);
    }

    public async ValueTask DisposeAsync()
    {
        _disk.Relieve();
        await _engine.DisposeAsync();
        await _registry.DisposeAsync();
        await _disk.DisposeAsync();
        File.Delete(_file);
    }

    private static readonly string[] s_operations = ["create", "start", "run", "exec", "load", "pull", "cp", "commit", "volume", "rm"];

    [Fact]
    public async Task Filled_in_the_middle_of_any_operation()
    {
        await Docker.Ok("run", "-d", "--name", "bystander", "alpine", "sleep", "1000");
        var random = new Random(Rounds.Seed);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            foreach (var operation in s_operations)
            {
                // A pull takes 5 MB: its blobs, and what they hold.
                await FilledDuring(operation, random.Next(operation == "pull" ? 6 << 20 : 2 << 20), $"{operation}: seed {Rounds.Seed}, round {round}");
            }
        }
    }

    /// <param name="room">Bytes that are left when it begins.</param>
    private async Task FilledDuring(string operation, int room, string where)
    {
        await Docker.Ok("create", "--name", "there", "-v", "/anonymous", "alpine", "sleep", "1000");
        string[] command = operation switch
        {
            "create" => ["create", "--name", "made", "-v", "/anonymous", "alpine", "true"],
            "start" => ["start", "there"],
            "run" => ["run", "--name", "made", "alpine", "sh", "-c", "head -c 8000000 /dev/zero > /x"],
            "exec" => ["exec", "bystander", "sh", "-c", "head -c 8000000 /dev/zero > /x; rm -f /x"],
            "load" => ["load"],
            "pull" => ["pull", Image],
            "cp" => ["cp", _file, "there:/copy"],
            "commit" => ["commit", "bystander", "made:1"],
            "volume" => ["volume", "create", "made"],
            _ => ["rm", "-v", "there"],
        };
        _disk.Fill(leave: room);
        var result = operation == "load"
            ? await Docker.RunWith(new MemoryStream(Archive.Image("made:1", [Archive.Of(Archive.Bytes("x", new byte[4 << 20]))])), "load")
            : await Docker.Run(command);
        if (result.ExitCode != 0 && operation is not ("run" or "exec"))
        {
            result.Says("no space left on device", ignoreCase: true);
        }

        Assert.Equal("running", await Docker.Inspect("bystander", "{{.State.Status}}"));
        foreach (var line in (await Docker.Run(["ps", "-a", "--format", "{{.Names}} {{.State}}"])).Ok().Lines)
        {
            var pid = await Docker.Inspect(line.Split(' ')[0], "{{.State.Pid}}");
            Assert.True(line.EndsWith(" running", StringComparison.Ordinal) == (pid != "0" && Programs.Lives(pid)), $"{where}: {line}");
        }

        _disk.Relieve();
        await Docker.Ok("rm", "-f", "-v", "there", "made");
        await Docker.Run("rmi", "-f", "made:1");
        if (operation == "pull")
        {
            // None of it is there, or all of it; with room the next pull completes it.
            Assert.Equal(result.ExitCode, (await Docker.Run("image", "inspect", Image)).ExitCode);
            await Docker.Ok("pull", Image);
            await Docker.Ok("rmi", Image);
            Assert.Empty(Engine.Unfinished(_engine.DataRoot));
        }

        await Docker.Run("volume", "rm", "made");
        Assert.Equal("well", await Docker.Ok("run", "--rm", "alpine", "echo", "well"));
        Assert.Equal("well", await Docker.Ok("exec", "bystander", "echo", "well"));
        Assert.True((await Docker.Run("volume", "ls", "-q")).Ok().Lines is [], $"{where}: volumes are left");
        Assert.True(Directory.GetDirectories(Path.Combine(_engine.DataRoot, "containers")).Length == 1, $"{where}: a container's directory is left");
    }

    /// <summary>What the disk does not take is held back: the container waits, is told nothing wrong, and not a line is lost or torn.</summary>
    [Fact]
    public async Task A_log_waits_for_room_and_is_whole()
    {
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            _disk.Fill(leave: 300_000);
            await Docker.Run("run", "-d", "--name", "writer", "--network", "none", "alpine", "sh", "-c", $"i=0; while [ $i -lt {Lines} ]; do i=$((i+1)); echo $i; done");
            var full = await Docker.Inspect("writer", "{{.State.Status}}");
            for (var left = 200; _disk.Free > 0 && left > 0; left--)
            {
                await Task.Delay(25, Cancellation);
            }

            Assert.Equal("running", full);
            _disk.Relieve();
            Assert.Equal("0", await Docker.Ok("wait", "writer"));

            // What the supervisor holds back when the container ends is written when it tries again.
            await Docker.Until(text => text.EndsWith($"\n{Lines}\n", StringComparison.Ordinal), ["logs", "writer"]);
            Assert.Equal(Enumerable.Range(1, Lines).Select(i => $"{i}"), (await Docker.Run("logs", "writer")).Ok().Lines);
            await Docker.Ok("rm", "writer");
        }
    }
}
