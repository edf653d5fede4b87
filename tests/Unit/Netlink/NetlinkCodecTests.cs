using System.Net;
using Slipway.Kernel.Netlink;
using Xunit;

namespace Slipway.Tests.Unit.Netlink;

/// <summary>
/// Messages against the bytes other programs send: the expected values were taken from iproute2 and nft under strace, or
/// follow from the structures in the kernel's headers. Little-endian, as the supported architectures are.
/// </summary>
public sealed class NetlinkCodecTests
{
    private static byte[] Hex(string text) => Convert.FromHexString(text.Replace(" ", "", StringComparison.Ordinal));

    [Fact]
    public void A_message_has_header_structure_and_padded_attributes()
    {
        NetlinkWriter writer = new();
        using (writer.Begin(16, NetlinkFlags.Ack, "test"))
        {
            writer.Fixed((ushort)0x1234);
            writer.Text(3, "eth0");
            writer.UInt32(10, 5);
            using (writer.Begin(18))
            {
                writer.UInt8(1, 7);
            }
        }

        // nlmsg_len 52, type 16, REQUEST|ACK, seq 1, pid 0; the structure padded to 4; IFNAME with NUL, 9 bytes padded to 12.
        Assert.Equal(
            Hex("34000000 1000 0500 01000000 00000000  34120000  0900 0300 6574683000 000000  0800 0a00 05000000  0c00 1280 0500 0100 07 000000"),
            writer.Written.ToArray());
    }

    [Fact]
    public void A_veth_pair_names_the_peers_namespace_inside_its_description()
    {
        NetlinkWriter writer = new();
        using NetworkNamespace space = NetworkNamespace.OfThisThread();
        uint descriptor = (uint)space.Descriptor.DangerousGetHandle();
        new RouteBatch(writer, () => { }).AddVeth(new VethPair { Name = "veth1", PeerName = "eth0", PeerNamespace = space, Master = 9 });
        const string Info = "00 00 0000 00000000 00000000 00000000";
        string peer = $"2800 0180 {Info} 0900 0300 6574683000 000000 0800 1c00 {Convert.ToHexString(BitConverter.GetBytes(descriptor))}";
        string linkInfo = $"3c00 1280 0900 0100 7665746800 000000 2c00 0280 {peer}";
        Assert.Equal(
            Hex($"70000000 1000 0506 01000000 00000000 {Info} 0a00 0300 766574683100 0000 {linkInfo} 0800 0a00 09000000"),
            writer.Written.ToArray());
    }

    [Fact]
    public void A_link_on_a_parent_names_the_parent_and_how_it_is_shared()
    {
        using NetworkNamespace space = NetworkNamespace.OfThisThread();
        string descriptor = Convert.ToHexString(BitConverter.GetBytes((uint)space.Descriptor.DangerousGetHandle()));
        string link = $"00 00 0000 00000000 00000000 00000000 0900 0300 6574683000 000000 0800 0500 07000000 0800 1c00 {descriptor}";
        Assert.Equal(
            Hex($"58000000 1000 0506 01000000 00000000 {link} 1c00 1280 0c00 0100 6d6163766c616e00 0c00 0280 0800 0100 04000000"), Written(MacvlanMode.Bridge));

        // ipvlan's attributes have two bytes each (linux/if_link.h).
        Assert.Equal(
            Hex($"60000000 1000 0506 01000000 00000000 {link} 2400 1280 0b00 0100 6970766c616e00 00 1400 0280 0600 0100 0200 0000 0600 0200 0100 0000"),
            Written(new IpvlanMode(IpvlanLayer.L3S, IpvlanSharing.Private)));

        byte[] Written(StackedMode mode)
        {
            NetlinkWriter writer = new();
            new RouteBatch(writer, () => { }).AddStacked(new StackedLink { Name = "eth0", Parent = 7, Namespace = space, Mode = mode });
            return writer.Written.ToArray();
        }
    }

    [Fact]
    public void A_VLAN_has_its_parent_and_its_number()
    {
        NetlinkWriter writer = new();
        new RouteBatch(writer, () => { }).AddVlan("eth0.10", 7, 10);
        const string Info = "00 00 0000 00000000 00000000 00000000";
        const string LinkInfo = "1c00 1280 0900 0100 766c616e00 000000 0c00 0280 0600 0100 0a00 0000";
        Assert.Equal(
            Hex($"50000000 1000 0506 01000000 00000000 {Info} 0c00 0300 657468302e313000 0800 0500 07000000 {LinkInfo}"), writer.Written.ToArray());
    }

    [Fact]
    public void A_default_route_has_a_gateway_an_interface_and_no_destination()
    {
        NetlinkWriter writer = new();
        new RouteBatch(writer, () => { }).AddRoute(new Route(new IPNetwork(IPAddress.Any, 0), IPAddress.Parse("172.17.0.1"), 2));

        // rtmsg: AF_INET, 0, 0, 0, table main (254), protocol boot (3), scope universe, unicast.
        Assert.Equal(
            Hex("2c000000 1800 0506 01000000 00000000  02 00 00 00 fe 03 00 01 00000000  0800 0500 ac110001  0800 0400 02000000"),
            writer.Written.ToArray());
    }

    [Fact]
    public void An_address_comes_with_its_broadcast_address()
    {
        NetlinkWriter writer = new();
        new RouteBatch(writer, () => { }).AddAddress(new InterfaceAddress(2, IPAddress.Parse("172.17.0.2"), 16));
        Assert.Equal(
            Hex("30000000 1400 0506 01000000 00000000  02 10 00 00 02000000  0800 0200 ac110002  0800 0100 ac110002  0800 0400 ac11ffff"),
            writer.Written.ToArray());
    }

    [Fact]
    public void An_element_of_a_map_is_what_nft_sends()
    {
        NetlinkWriter writer = new();
        NfTablesBatch batch = new(writer, NfTablesFamily.Ipv4, null, () => { });
        batch.AddElements("slipway-x", "published", [new MapElement([6, 0, 0, 0, 0, 80, 0, 0], [172, 17, 0, 2, 0x1f, 0x90, 0, 0])]);
        batch.Commit();
        const string Begin = "14000000 1000 0100 01000000 00000000 00 00 000a";
        const string End = "14000000 1100 0100 03000000 00000000 00 00 000a";
        const string Element = "2800 0380 2400 0180 1000 0180 0c00 0100 0600000000500000 1000 0280 0c00 0100 ac1100021f900000";
        const string Add = "5c000000 0c0a 0504 02000000 00000000 02 00 0000 0e00 0100 736c69707761792d7800 0000 0e00 0200 7075626c697368656400 0000";
        Assert.Equal(Hex(Begin + Add + Element + End), writer.Written.ToArray());
    }

    [Fact]
    public void The_type_of_a_concatenation_is_six_bits_a_part()
    {
        // inet_proto . inet_service and ipv4_addr . inet_service as nft numbers them.
        Assert.Equal(0x30du, NfTablesMap.TypeNumber([SetType.TransportProtocol, SetType.Port]));
        Assert.Equal(0x1cdu, NfTablesMap.TypeNumber([SetType.Ipv4Address, SetType.Port]));
        Assert.Equal(0x730du, NfTablesMap.TypeNumber([SetType.Ipv4Address, SetType.TransportProtocol, SetType.Port]));
    }

    [Fact]
    public void An_error_is_read_with_its_explanation()
    {
        byte[] error = Hex("30000000 0200 0002 07000000 00000000  edffffff  00000000 0000 0000 07000000 00000000  0900 0100 6f6f707300 000000");
        NetlinkReader reader = new(error);
        Assert.True(reader.TryRead(out NetlinkMessage message));
        Assert.Equal((19, "oops"), message.Result());
        Assert.Equal(7u, message.Sequence);
        Assert.False(reader.TryRead(out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("10000000 0200")]
    [InlineData("0f000000 0200 0000 00000000 00000000")]
    [InlineData("ff000000 0200 0000 00000000 00000000")]
    [InlineData("ffffffff 0200 0000 00000000 00000000")]
    public void What_is_cut_off_is_no_message(string bytes)
    {
        NetlinkReader reader = new(Hex(bytes));
        Assert.False(reader.TryRead(out _));
    }

    [Theory]
    [InlineData("0300 0100")]
    [InlineData("0900 0100 00")]
    [InlineData("0400")]
    public void What_is_cut_off_is_no_attribute(string bytes)
    {
        AttributeReader reader = new(Hex(bytes));
        Assert.False(reader.TryRead(out _, out _));
        Assert.Null(reader.Text(1));
        Assert.Null(reader.UInt32(1));
    }

    [Fact]
    public void Hardware_addresses_are_read_and_written()
    {
        Assert.True(MacAddress.TryParse("02:42:AC:11:00:02", out MacAddress address));
        Assert.Equal("02:42:ac:11:00:02", address.ToString());
        Assert.Equal(address, MacAddress.Of(IPAddress.Parse("172.17.0.2")));
        Assert.True(address.IsUnicast);
        Assert.True(MacAddress.TryParse("01-00-5E-00-00-01", out MacAddress group));
        Assert.False(group.IsUnicast);
        foreach (string bad in (string[])["", "02:42:ac:11:00", "02:42:ac:11:00:0g", "02:42:ac:11:00:02:03", "0242.ac11.0002ab", " 2:42:ac:11:00:02", "02:42:ac:11:00;02"])
        {
            Assert.False(MacAddress.TryParse(bad, out _), bad);
        }
    }
}
