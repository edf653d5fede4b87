using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>What docs/networks.md says of ufw and firewalld holds for the programs themselves.</summary>
public sealed class FirewallProgramTests : IAsyncLifetime
{
    private const string All = "8080 8081 5353 | 8080 8081 5353";

    private PublishedPortsLab _ports = null!;
    private FirewallPrograms _programs = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _ports = await PublishedPortsLab.CreateAsync(PortAdmission.Input);
        _programs = new FirewallPrograms(_ports.Lab);
        await _ports.Lab.ServeTcpAsync(_ports.Lab.Outside, new IPEndPoint(IPAddress.Any, 7000), "outside sees ");
    }

    public ValueTask DisposeAsync()
    {
        _programs.Dispose();
        return _ports.DisposeAsync();
    }

    [Fact]
    public async Task Ufw_opens_and_closes_published_ports_as_those_of_programs()
    {
        Assert.Equal(All, await _ports.OpenAsync());
        _programs.Run("ufw", "--force", "enable");
        Assert.Equal("|", await _ports.OpenAsync());

        // The host's own connections are not asked about.
        Assert.StartsWith("served ", await NetworkLab.AskTcpAsync(_ports.Lab.Host, NetworkLab.HostAddress, 8080), StringComparison.Ordinal);

        _programs.Run("ufw", "allow", "8080/tcp");
        Assert.Equal("8080 | 8080", await _ports.OpenAsync());
        Assert.Equal($"served {NetworkLab.OutsideAddress}", await NetworkLab.AskTcpAsync(_ports.Lab.Outside, NetworkLab.HostAddress, 8080));
        _programs.Run("ufw", "allow", "proto", "udp", "from", $"{NetworkLab.OutsideAddress}", "to", "any", "port", "5353");
        _programs.Run("ufw", "reject", "8081/tcp");
        Assert.Equal("8080 5353 | 8080", await _ports.OpenAsync());
        _programs.Run("ufw", "delete", "allow", "8080/tcp");
        Assert.Equal("5353 |", await _ports.OpenAsync());
        _programs.Run("ufw", "--force", "reset");
        Assert.Equal(All, await _ports.OpenAsync());
    }

    [Fact]
    public async Task With_ufw_containers_reach_the_outside_once_it_routes_for_their_bridge()
    {
        _programs.Run("ufw", "--force", "enable");
        Assert.Equal("timeout", await OutboundAsync());
        _programs.Run("ufw", "route", "allow", "in", "on", PublishedPortsLab.Options.BridgeName);
        Assert.Equal($"outside sees {NetworkLab.HostAddress}", await OutboundAsync());
        _programs.Run("ufw", "disable");
        Assert.Equal($"outside sees {NetworkLab.HostAddress}", await OutboundAsync());
    }

    [Fact]
    public async Task Firewalld_opens_and_closes_published_ports_as_those_of_programs()
    {
        await _programs.StartFirewalldAsync(Cancellation);
        Assert.Equal("|", await _ports.OpenAsync());
        Assert.StartsWith("served ", await NetworkLab.AskTcpAsync(_ports.Lab.Host, NetworkLab.HostAddress, 8080), StringComparison.Ordinal);

        _programs.Run("firewall-cmd", "--add-port=8080/tcp");
        _programs.Run("firewall-cmd", $"--add-rich-rule=rule family=ipv4 source address={NetworkLab.OutsideAddress} port port=5353 protocol=udp accept");
        Assert.Equal("8080 5353 | 8080", await _ports.OpenAsync());
        Assert.Equal($"served {NetworkLab.OutsideAddress}", await NetworkLab.AskTcpAsync(_ports.Lab.Outside, NetworkLab.HostAddress, 8080));

        // What comes from outside belongs to another zone than the rest.
        _programs.Run("firewall-cmd", "--zone=trusted", "--change-interface=wan");
        Assert.Equal(All, await _ports.OpenAsync());
        _programs.Run("firewall-cmd", "--zone=drop", "--change-interface=wan");
        Assert.Equal("|", await _ports.OpenAsync());

        // It makes its table anew and leaves those of others.
        _programs.Run("firewall-cmd", "--permanent", "--add-port=8081/tcp");
        _programs.Run("firewall-cmd", "--reload");
        Assert.Equal("8081 | 8081", await _ports.OpenAsync());
    }

    [Fact]
    public async Task With_firewalld_containers_reach_the_outside_once_their_bridge_is_trusted()
    {
        await _programs.StartFirewalldAsync(Cancellation);
        Assert.Equal("HostUnreachable", await OutboundAsync());
        _programs.Run("firewall-cmd", "--zone=trusted", $"--change-interface={PublishedPortsLab.Options.BridgeName}");
        Assert.Equal($"outside sees {NetworkLab.HostAddress}", await OutboundAsync());
    }

    /// <summary>What a container hears from a server outside.</summary>
    private Task<string> OutboundAsync() => NetworkLab.AskTcpAsync(_ports.Inside, NetworkLab.OutsideAddress, 7000);
}
