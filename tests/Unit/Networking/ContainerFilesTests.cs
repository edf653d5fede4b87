using System.Net;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Unit.Networking;

public sealed class ContainerFilesTests
{
    [Fact]
    public void The_hosts_servers_search_and_options_are_taken_over()
    {
        string host = "# comment\nnameserver 10.0.0.53\n; other\nsearch example.com corp.example.com\noptions ndots:2\noptions timeout:1\nsortlist 10.0.0.0\n";
        Assert.Equal(
            "nameserver 10.0.0.53\nsearch example.com corp.example.com\noptions ndots:2 timeout:1\nsortlist 10.0.0.0\n",
            ContainerFiles.ResolvConf(host, new DnsOptions()));
    }

    [Theory]
    [InlineData("nameserver 127.0.0.1\nnameserver 127.0.0.53\nnameserver ::1\n")]
    [InlineData("")]
    [InlineData("nameserver\nnameserver not-an-address\n")]
    public void Without_a_reachable_server_public_ones_are_used(string host) =>
        Assert.Equal("nameserver 8.8.8.8\nnameserver 8.8.4.4\n", ContainerFiles.ResolvConf(host, new DnsOptions()));

    [Fact]
    public void Loopback_servers_are_left_out_and_ipv6_ones_where_the_container_has_none()
    {
        string host = "nameserver 127.0.0.1\nnameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver 192.0.2.53\n";
        Assert.Equal("nameserver 192.0.2.53\n", ContainerFiles.ResolvConf(host, new DnsOptions()));
        Assert.Equal("nameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver 192.0.2.53\n", ContainerFiles.ResolvConf(host, new DnsOptions(), ipv6: true));
    }

    [Fact]
    public void Options_of_the_container_replace_the_hosts()
    {
        DnsOptions dns = new() { Servers = ["127.0.0.1"], Search = ["a.example"], Options = ["rotate"] };
        Assert.Equal("nameserver 127.0.0.1\nsearch a.example\noptions rotate\n", ContainerFiles.ResolvConf("nameserver 1.1.1.1\nsearch b.example\noptions ndots:5\n", dns));
        Assert.Equal("nameserver 1.1.1.1\n", ContainerFiles.ResolvConf("nameserver 1.1.1.1\nsearch b.example\n", new DnsOptions { Search = ["."] }));
    }

    [Fact]
    public void Behind_systemd_resolved_are_the_real_servers()
    {
        Assert.Equal("real", ContainerFiles.HostResolvConf("nameserver 127.0.0.53\n", "real"));
        Assert.Equal("nameserver 127.0.0.53\n", ContainerFiles.HostResolvConf("nameserver 127.0.0.53\n", null));
        Assert.Equal("nameserver 10.1.1.1\n", ContainerFiles.HostResolvConf("nameserver 10.1.1.1\n", "real"));
    }

    [Fact]
    public void Hosts_has_dockers_lines_extra_hosts_and_the_container()
    {
        string file = ContainerFiles.Hosts("web", "example.com", [IPAddress.Parse("172.17.0.2")], [("db", "10.0.0.7")]);
        Assert.Equal(
            """
            127.0.0.1	localhost
            ::1	localhost ip6-localhost ip6-loopback
            fe00::	ip6-localnet
            ff00::	ip6-mcastprefix
            ff02::1	ip6-allnodes
            ff02::2	ip6-allrouters
            10.0.0.7	db
            172.17.0.2	web.example.com web

            """,
            file);
        Assert.DoesNotContain("web", ContainerFiles.Hosts("web", null, [], []));
        Assert.Equal("web\n", ContainerFiles.Hostname("web"));
    }

    [Theory]
    [InlineData("a\nnameserver 6.6.6.6")]
    [InlineData("a b")]
    [InlineData("")]
    public void Nothing_breaks_out_of_its_word(string value)
    {
        Assert.Throws<NetworkException>(() => ContainerFiles.ResolvConf("", new DnsOptions { Search = [value] }));
        Assert.Throws<NetworkException>(() => ContainerFiles.Hosts("h", null, [], [(value, "10.0.0.1")]));
        Assert.Throws<NetworkException>(() => ContainerFiles.Hosts("h", null, [], [("name", value)]));
    }
}
