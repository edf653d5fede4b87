using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>kill -9 of the engine while the mounts and ports of a running container are changed.</summary>
public sealed class UpdateKilledTests() : FaultTest("ukill")
{
    private const int InCi = 12;

    [Fact]
    public async Task What_is_recorded_is_what_the_container_has()
    {
        await Docker.Ok("run", "-d", "--name", "c1", "alpine", "sleep", "10000");
        var random = new Random(Environment.ProcessId);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            var port = 20000 + (Environment.ProcessId % 20000) + round;
            string[] options =
            [
                $"--mount-add type=volume,src=v{round},dst=/v{round} --publish-add 127.0.0.1:{port}:80 --label-add round={round}",
                $"--mount-rm /v{round} --publish-rm {port}:80/tcp --mount-add type=tmpfs,dst=/t{round}",
                $"--mount-rm /t{round}",
            ];
            var script = string.Join('\n', options.Select(option => $"{Repository.Executable} -H unix://{Docker.Socket} update {option} c1"));
            await KillWhile(script, TimeSpan.FromMilliseconds(500), random);
            await Consistent(round);
        }
    }

    private async Task Consistent(int round)
    {
        var shown = JsonNode.Parse(await Docker.Ok("inspect", "c1"))![0]!;
        Assert.Equal("running", (string?)shown["State"]!["Status"]);
        var pid = ((int)shown["State"]!["Pid"]!).ToString(CultureInfo.InvariantCulture);
        var recorded = shown["Mounts"]!.AsArray().Select(mount => (string)mount!["Destination"]!).Order(StringComparer.Ordinal);
        var mounted = File.ReadLines($"/proc/{pid}/mountinfo").Select(line => line.Split(' ')[4]).Where(path => path.Length > 2 && path[1] is 'v' or 't' && char.IsAsciiDigit(path[2]));
        Assert.True(recorded.SequenceEqual(mounted.Order(StringComparer.Ordinal)), $"round {round}: recorded {string.Join(' ', recorded)}, mounted {string.Join(' ', mounted)}");

        var published = (await Docker.Run("port", "c1")).Ok().Lines.Length;
        Assert.Equal(shown["HostConfig"]!["PortBindings"]?.AsObject().Sum(entry => entry.Value!.AsArray().Count) ?? 0, published);

        // A volume that none of its mounts names may be removed.
        foreach (var volume in (await Docker.Run("volume", "ls", "-q", "--filter", "dangling=true")).Ok().Lines)
        {
            await Docker.Ok("volume", "rm", volume);
        }
    }
}
