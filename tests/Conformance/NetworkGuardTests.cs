using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Containers that may set up their own links try to pass for a neighbour.</summary>
public sealed class NetworkGuardTests(SharedEngine engine) : EngineTest(engine)
{
    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public async Task A_neighbours_address_is_its_own_where_that_is_asked_for(string antispoof)
    {
        var network = Network();
        await Docker.Ok("network", "create", "--opt", $"io.slipway.bridge.antispoof={antispoof}", network);
        var (victim, attacker, observer) = (Container("victim"), Container("attacker"), Container("observer"));
        foreach (var name in (string[])[victim, attacker, observer])
        {
            await Docker.Ok("run", "-d", "--name", name, "--network", network, "--cap-add", "NET_ADMIN", "alpine", "sleep", "1000");
        }

        var address = await Docker.Inspect(victim, $"{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
        var hardware = await Docker.Inspect(victim, $"{{{{(index .NetworkSettings.Networks \"{network}\").MacAddress}}}}");
        var own = await Docker.Inspect(attacker, $"{{{{(index .NetworkSettings.Networks \"{network}\").MacAddress}}}}");
        await Docker.Ok("exec", observer, "ping", "-c", "1", "-w", "10", address);

        // Told by an answer that nobody asked for, a host takes a neighbour's new hardware address.
        await Docker.Ok("exec", attacker, "sh", "-c", $"ip addr add {address}/32 dev eth0; arping -U -c 2 -w 10 -I eth0 -s {address} {address} > /dev/null; true");
        var known = await Docker.Ok("exec", observer, "ip", "neigh", "show", address);
        Assert.Contains(antispoof == "true" ? hardware : own, known, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_that_is_none_is_refused() =>
        (await Docker.Run("network", "create", "--opt", "io.slipway.bridge.antispoof=perhaps", Network())).Exited(1)
            .Says("failed to parse io.slipway.bridge.antispoof value: perhaps");

    private string Network()
    {
        var name = Container("net");
        Cleanup(() => Docker.Run("network", "rm", name));
        return name;
    }
}
