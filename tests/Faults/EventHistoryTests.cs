using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>`docker events --since`: what was told before the engine was killed is told again by the next one, in order, once.</summary>
public sealed class EventHistoryTests() : FaultTest("evhist")
{
    private static string Now() => TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture);

    private async Task<string[]> Events(string since) =>
        (await Docker.Run("events", "--since", since, "--until", Now(), "--format", "{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}")).Ok().Lines;

    [Fact]
    public async Task History_survives_the_engine()
    {
        var since = Now();
        for (var round = 0; round < 3; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 5).Select(i => Docker.Run("run", "--rm", "--name", $"r{round}-{i}", "alpine", "sh", "-c", $"exit {i}")));
            var told = await Events(since);
            Assert.Contains(told, line => line.EndsWith($" die r{round}-4 4", StringComparison.Ordinal));
            await Engine.Kill();
            await Engine.Start();
            var again = await Events(since);
            Assert.Equal(told, again[..told.Length]);
            Assert.Equal(again.Order(StringComparer.Ordinal), again);
            Assert.Equal(again.Distinct(), again);
        }
    }
}
