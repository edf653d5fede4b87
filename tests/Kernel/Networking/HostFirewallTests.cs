using System.Net;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>Where the host's forward chain decides about published ports, what it drops stays dropped, whatever we accept (docs/networks.md).</summary>
public sealed class HostFirewallTests : IAsyncLifetime
{
    private PublishedPortsLab _ports = null!;

    private NetworkLab Lab => _ports.Lab;

    public async ValueTask InitializeAsync() => _ports = await PublishedPortsLab.CreateAsync(PortAdmission.Forward);

    public ValueTask DisposeAsync() => _ports.DisposeAsync();

    [Fact]
    public async Task A_forward_chain_of_nftables_that_drops_closes_ports_and_opens_those_it_names()
    {
        Assert.Equal("8080 8081 5353 | 8080 8081 5353", await _ports.OpenAsync());
        Lab.Run("nft", "add table inet host; add chain inet host forward { type filter hook forward priority 10; policy drop; }");
        Assert.Equal("|", await _ports.OpenAsync());
        Lab.Run("nft", "add rule inet host forward ct state established,related accept; add rule inet host forward meta l4proto tcp ct original proto-dst 8080 accept");
        Assert.Equal("8080 | 8080", await _ports.OpenAsync());

        // The host's own connections are not forwarded.
        Assert.StartsWith("served ", await NetworkLab.AskTcpAsync(Lab.Host, IPAddress.Loopback, 8081), StringComparison.Ordinal);
        Assert.StartsWith("served ", await NetworkLab.AskTcpAsync(Lab.Host, NetworkLab.HostAddress6, 8081), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_input_chain_is_not_asked()
    {
        Lab.Run("nft", "add table inet host; add chain inet host input { type filter hook input priority 0; policy drop; }; add rule inet host input icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept");
        Assert.Equal("8080 8081 5353 | 8080 8081 5353", await _ports.OpenAsync());
    }

    [Fact]
    public async Task A_port_is_closed_where_packets_come_in_before_it_is_redirected()
    {
        Lab.Run("nft", "add table inet host; add chain inet host early { type filter hook prerouting priority -150; }; add rule inet host early iifname wan tcp dport 8080 drop; add rule inet host early iifname wan udp dport 5353 drop");
        Assert.Equal("8081 | 8081", await _ports.OpenAsync());
    }

    [Fact]
    public async Task A_forward_chain_of_iptables_that_drops_closes_ports_and_opens_those_it_names()
    {
        foreach (string program in (string[])["iptables-nft", "ip6tables-nft"])
        {
            Lab.Run(program, "-w", "-P", "FORWARD", "DROP");
        }

        Assert.Equal("|", await _ports.OpenAsync());
        foreach (string program in (string[])["iptables-nft", "ip6tables-nft"])
        {
            Lab.Run(program, "-w", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT");
            Lab.Run(program, "-w", "-A", "FORWARD", "-p", "udp", "-m", "conntrack", "--ctstate", "DNAT", "--ctorigdstport", "5353", "-j", "ACCEPT");
        }

        Assert.Equal("5353 | 5353", await _ports.OpenAsync());
    }
}
