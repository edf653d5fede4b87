using System.Net;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>What encrypts networks that span hosts: policies, rules, and what a kernel says that cannot. Two hosts with keys are tests/vm/ipsec-tests.</summary>
public sealed class EspTests
{
    private const uint Ours = 0x10203040;
    private const ushort Port = 4790;

    private static readonly EspFlow s_out = new(NetworkLab.HostAddress, NetworkLab.OutsideAddress, Port);
    private static readonly EspFlow s_in = new(NetworkLab.OutsideAddress, NetworkLab.HostAddress, Port);

    private static CancellationToken Cancel => CancellationToken.None;

    private static OverlayOptions Options => OverlayLab.Options(second: false, new OverlayLab.FixedBlocks(IPNetwork.Parse("10.77.0.0/27"))) with { Encrypted = true, Port = Port };

    [Fact]
    public async Task Policies_are_what_iproute2_shows_and_those_of_others_are_not_ours()
    {
        await using NetworkLab lab = await NetworkLab.CreateAsync();
        EspPolicy[] policies = [new(s_out, PolicyDirection.Out, Ours), new(s_in, PolicyDirection.In, Ours)];
        lab.Run("ip", "xfrm", "policy", "add", "src", "198.51.100.1/32", "dst", "198.51.100.2/32", "proto", "udp", "dport", "9999", "dir", "out", "tmpl", "proto", "esp", "reqid", "7", "mode", "transport");
        string others = lab.Run("ip", "xfrm", "policy");
        await lab.Host.RunAsync(
            () =>
            {
                using XfrmSession session = new();
                foreach (EspPolicy policy in policies)
                {
                    session.AddPolicy(policy);
                }

                Assert.Equal(policies.ToHashSet(), session.Policies(Ours).ToHashSet());
                Assert.Empty(session.Policies(Ours + 1));
                Assert.Equal(Errno.EEXIST, Assert.Throws<KernelException>(() => session.AddPolicy(policies[0] with { RequestId = Ours + 1 })).Errno);
            },
            Cancel);
        string shown = string.Join(' ', lab.Run("ip", "xfrm", "policy").Replace(" ptype main", "", StringComparison.Ordinal).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(
            "src 198.51.100.1/32 dst 198.51.100.2/32 proto udp dport 4790 dir out priority 64 tmpl src 198.51.100.1 dst 198.51.100.2 proto esp reqid 270544960 mode transport", shown, StringComparison.Ordinal);
        Assert.Contains(
            "src 198.51.100.2/32 dst 198.51.100.1/32 proto udp dport 4790 dir in priority 64 tmpl src 198.51.100.2 dst 198.51.100.1 proto esp reqid 270544960 mode transport", shown, StringComparison.Ordinal);
        await lab.Host.RunAsync(
            () =>
            {
                using XfrmSession session = new();
                Assert.All(policies, policy => Assert.True(session.DeletePolicy(policy)));
                Assert.False(session.DeletePolicy(policies[0]));
                Assert.False(session.DeleteState(new EspState(s_in, 0x53000001, Ours)));
                Assert.Empty(session.States(Ours));
            },
            Cancel);
        Assert.Equal(others, lab.Run("ip", "xfrm", "policy"));
    }

    [Fact]
    public async Task A_packet_that_a_policy_demands_a_state_for_does_not_leave_without_one()
    {
        await using NetworkLab lab = await NetworkLab.CreateAsync();
        using UdpClient outside = await lab.Outside.RunAsync(() => new UdpClient(Port), Cancel);
        await SendAsync(lab.Host);
        await outside.ReceiveAsync(new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token);
        await lab.Host.RunAsync(
            () =>
            {
                using XfrmSession session = new();
                session.AddPolicy(new EspPolicy(s_out, PolicyDirection.Out, Ours));
            },
            Cancel);
        await SendAsync(lab.Host);
        await Task.Delay(300, Cancel);
        Assert.Equal(0, outside.Available);

        static async Task SendAsync(NamespaceThread host)
        {
            using UdpClient client = await host.RunAsync(() => new UdpClient(), Cancel);
            try
            {
                await client.SendAsync(new byte[] { 1 }, new IPEndPoint(NetworkLab.OutsideAddress, Port), Cancel);
            }
            catch (SocketException)
            {
                return; // some kernels say that there is no way
            }
        }
    }

    /// <summary>Without any policy, as after <c>ip xfrm policy flush</c>.</summary>
    [Fact]
    public async Task CVE_2023_28841_and_2023_28842_the_rules_let_no_clear_text_of_an_encrypted_network_out_or_in()
    {
        await using NetworkLab lab = await NetworkLab.CreateAsync();
        using UdpClient outside = await lab.Outside.RunAsync(() => new UdpClient(Port), Cancel);
        int asked = 100;
        lab.Run("ip", "link", "add", "vx0", "type", "vxlan", "id", $"{OverlayLab.Number}", "dstport", $"{Port}", "local", $"{NetworkLab.HostAddress}", "remote", $"{NetworkLab.OutsideAddress}");
        lab.Run("ip", "addr", "add", "10.77.0.1/24", "dev", "vx0");
        lab.Run("ip", "link", "set", "vx0", "up");
        Assert.True(await LeavesAsync());
        Assert.True(await ArrivesAsync());
        await lab.Host.RunAsync(
            () =>
            {
                using NfTablesSession session = new();
                OverlayFirewall firewall = new(session, encrypted: true);
                firewall.Ensure(Options);
                Assert.True(firewall.IsIntact(Options));
                Assert.True(firewall.IsLast(OverlayLab.Number));
                Assert.False(firewall.IsLast(OverlayLab.Number + 1));
            },
            Cancel);
        Assert.False(await LeavesAsync());
        Assert.False(await ArrivesAsync());

        // Another network's number on the same port is not ours.
        await lab.Host.RunAsync(
            () =>
            {
                using NfTablesSession session = new();
                OverlayFirewall firewall = new(session, encrypted: true);
                firewall.Ensure(Options with { Number = OverlayLab.Number + 1 });
                firewall.Remove(OverlayLab.Number);
            },
            Cancel);
        Assert.True(await ArrivesAsync());
        Assert.True(await LeavesAsync(), lab.Run("nft", "list", "ruleset"));

        // The kernel itself asks who has an address, in a packet that no program sends.
        async Task<bool> LeavesAsync()
        {
            while (outside.Available > 0)
            {
                IPEndPoint? from = null;
                outside.Receive(ref from);
            }

            using UdpClient client = await lab.Host.RunAsync(() => new UdpClient(), Cancel);
            await client.SendAsync(new byte[] { 1 }, new IPEndPoint(IPAddress.Parse($"10.77.0.{++asked}"), 9), Cancel);
            await Task.Delay(300, Cancel);
            return outside.Available > 0;
        }

        async Task<bool> ArrivesAsync()
        {
            string before = Received();
            using UdpClient client = await lab.Outside.RunAsync(() => new UdpClient(), Cancel);
            byte[] packet = new byte[8 + 60];
            (packet[0], packet[5], packet[6]) = (0x08, OverlayLab.Number >> 8, OverlayLab.Number & 0xff); // RFC 7348 section 5
            packet.AsSpan(8, 6).Fill(0xff);
            packet[14] = 0x02;
            await client.SendAsync(packet, new IPEndPoint(NetworkLab.HostAddress, Port), Cancel);
            await Task.Delay(200, Cancel);
            return Received() != before;
        }

        string Received() => lab.Run("sh", "-c", "ip -s link show vx0 | awk '/RX:/ { getline; print $2 }'");
    }

    [Fact]
    public async Task A_kernel_that_cannot_encrypt_says_what_it_lacks_and_nothing_is_made()
    {
        await using OverlayLab lab = await OverlayLab.CreateAsync();
        string before = await lab.Lab.SnapshotAsync();
        bool able = await lab.Lab.Host.RunAsync(
            () =>
            {
                using XfrmSession session = new();
                try
                {
                    session.AddState(new EspState(s_out, 0x1001, Ours), new byte[EspState.KeyLength]);
                    return session.DeleteState(new EspState(s_out, 0x1001, Ours));
                }
                catch (KernelException)
                {
                    return false;
                }
            },
            Cancel);
        await using NetworkHost host = new("esp", lab.Lab.HostNamespace);
        await using OverlayNetwork network = new(Options, TimeProvider.System, host);
        EspPairs pairs = new(host);
        if (!able)
        {
            NetworkException error = await Assert.ThrowsAsync<NetworkException>(() => network.EnsureAsync(Cancel));
            Assert.Equal(NetworkErrorKind.Unavailable, error.Kind);
            Assert.StartsWith("this host's kernel cannot encrypt networks, which takes IPsec's ESP with AES-GCM (CONFIG_XFRM_USER, CONFIG_INET_ESP, ", error.Message, StringComparison.Ordinal);
            Assert.Null(await pairs.ReadAsync(NetworkLab.OutsideAddress, Cancel));
            Assert.Null(await pairs.ReceiveAsync(NetworkLab.OutsideAddress, Cancel));
            Assert.False(await pairs.SendAsync(NetworkLab.OutsideAddress, new EspKey(0x1001, new byte[EspState.KeyLength]), Cancel));
        }
        else
        {
            Assert.Equal(1416, (await network.EnsureAsync(Cancel)).Mtu);
            EspKey key = Assert.IsType<EspKey>(await pairs.ReceiveAsync(NetworkLab.OutsideAddress, Cancel));
            Assert.True(await pairs.SendAsync(NetworkLab.OutsideAddress, new EspKey(0x1001, new byte[EspState.KeyLength]), Cancel));
            EspPair pair = Assert.IsType<EspPair>(await pairs.ReadAsync(NetworkLab.OutsideAddress, Cancel));
            Assert.Equal(key.Spi, Assert.Single(pair.Receiving).Spi);
            Assert.Equal(0x1001u, Assert.Single(pair.Sending).Spi);
        }

        await network.CleanupAsync(Cancel);
        await network.DrainAsync(Cancel);
        Assert.Equal("", lab.Lab.Run("ip", "xfrm", "policy").Trim());
        Assert.Equal("", lab.Lab.Run("ip", "xfrm", "state").Trim());
        Assert.Equal(before, await lab.Lab.SnapshotAsync());
    }
}
