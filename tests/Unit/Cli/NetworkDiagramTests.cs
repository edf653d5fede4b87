using Slipway.Api.Containers;
using Slipway.Api.Networks;
using Slipway.Cli.Output;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

public sealed class NetworkDiagramTests
{
    private static Network Network(string driver, Dictionary<string, string>? options = null) => new()
    {
        Name = "backend",
        Id = "0123456789abcdef",
        Created = "",
        Driver = driver,
        Options = options,
        IPAM = new IPAM { Config = [new IPAMConfig { Subnet = "10.1.0.0/24", Gateway = "10.1.0.1", IPRange = "10.1.0.128/25" }] },
    };

    private static ContainerInspect Container(string id, string name, NetworkSettings settings) => new()
    {
        Id = id,
        Name = $"/{name}",
        Created = "",
        Image = "",
        State = new ContainerState { Status = "running" },
        Config = new ContainerConfig(),
        HostConfig = new HostConfig(),
        GraphDriver = new GraphDriverData(),
        NetworkSettings = settings,
    };

    [Fact]
    public void A_network_is_drawn_with_its_containers_addresses_and_ports()
    {
        Network network = Network("bridge");
        network.Containers["aaa"] = new NetworkContainer("web", "e1", "02:42:0a:01:00:80", "10.1.0.128/24", "");
        network.Containers["bbb"] = new NetworkContainer("db", "e2", "02:42:0a:01:00:81", "10.1.0.129/24", "fd00::2/64");
        ContainerInspect web = Container("aaa", "web", new NetworkSettings
        {
            Ports = new() { ["443/tcp"] = null, ["80/tcp"] = [new PortBinding { HostIp = "0.0.0.0", HostPort = "8080" }, new PortBinding { HostIp = "::", HostPort = "8080" }] },
            Networks = new() { ["backend"] = new EndpointSettings { DNSNames = ["web", "www", "aaa"] }, ["front"] = new EndpointSettings() },
        });
        ContainerInspect db = Container("bbb", "db", new NetworkSettings { Networks = new() { ["backend"] = new EndpointSettings() } });
        Assert.Equal(
            """
            network backend (bridge)
            │   subnet 10.1.0.0/24, addresses from 10.1.0.128/25, gateway 10.1.0.1
            │
            ●   br-0123456789ab  this host's bridge
            │
            ├── db  10.1.0.129/24  fd00::2/64  02:42:0a:01:00:81
            └── web  10.1.0.128/24  02:42:0a:01:00:80
                ├── 0.0.0.0:8080 → 80/tcp
                ├── [::]:8080 → 80/tcp
                ├── also called www
                └── also on front

            """,
            NetworkDiagram.Draw(network, [web, db]));
    }

    [Fact]
    public void A_network_without_containers_or_a_link_is_drawn_too()
    {
        Assert.Equal("network backend (null)\n│   subnet 10.1.0.0/24, addresses from 10.1.0.128/25, gateway 10.1.0.1\n│\n└── no containers\n", NetworkDiagram.Draw(Network("null"), []));
        Assert.Contains("●   eth0.10  this host's link\n", NetworkDiagram.Draw(Network("macvlan", new() { ["parent"] = "eth0.10" }) with { Internal = true }, []), StringComparison.Ordinal);
        Assert.Contains("(macvlan, internal)", NetworkDiagram.Draw(Network("macvlan") with { Internal = true }, []), StringComparison.Ordinal);
    }
}
