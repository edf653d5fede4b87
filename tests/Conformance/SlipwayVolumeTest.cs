using System.Diagnostics;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Base of tests of what only Slipway's volumes can: they talk to it by its own command line.</summary>
public abstract class SlipwayVolumeTest(SharedEngine engine) : EngineTest(engine)
{
    /// <summary>A name no other test uses; the volume is removed after the test.</summary>
    protected string Volume(string name = "v")
    {
        Assert.SkipUnless(IsSlipway, "Docker has no such volumes");
        var full = Container(name);
        Cleanup(() => Docker.Run("volume", "rm", "-f", full));
        return full;
    }

    protected string PathOf(string volume) => $"{DataRoot}/volumes/{volume}/_data";

    protected Task<CliResult> TrySlipway(params string[] arguments) => Programs.Run(Repository.Executable!, ["-H", $"unix://{Docker.Socket}", .. arguments]);

    protected async Task<string> Slipway(params string[] arguments) => (await TrySlipway(arguments)).Ok().Output.TrimEnd('\n');

    /// <summary>Waits until a volume is not mounted: the end of a container is told before all of it is tidied up.</summary>
    protected async Task WithoutMount(string volume)
    {
        for (var clock = Stopwatch.StartNew(); File.ReadLines("/proc/self/mountinfo").Any(line => line.Split(' ')[4] == PathOf(volume));)
        {
            Assert.True(clock.Elapsed < Programs.Limit(20), $"{volume} stays mounted");
            await Task.Delay(20, Cancellation);
        }
    }
}
