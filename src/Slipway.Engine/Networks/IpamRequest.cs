using System.Net;
using System.Net.Sockets;
using Slipway.Api.Networks;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>The subnets a request asks for, one of each family at most; what is null is chosen.</summary>
internal sealed record IpamRequest(SubnetRequest? Ipv4, SubnetRequest? Ipv6)
{
    private static readonly IPNetwork LinkLocal = IPNetwork.Parse("fe80::/10");
    private static readonly IPNetwork Multicast = IPNetwork.Parse("ff00::/8");

    /// <param name="ipv6">The network is to have IPv6: if not, IPv6 subnets are not looked at, as in dockerd.</param>
    /// <exception cref="EngineException">InvalidParameter, with everything that is wrong. NotFound: another IPAM driver.</exception>
    public static IpamRequest Parse(IPAM? ipam, bool ipv6)
    {
        if (ipam?.Driver is not (null or "" or "default"))
        {
            throw NetworkErrors.NoSuchDriver(ipam.Driver);
        }

        List<string> errors = [];
        List<SubnetRequest> requests = [];
        foreach (IPAMConfig config in (ipam?.Config ?? []).Where(config => config is { Subnet.Length: > 0 } or { Gateway.Length: > 0 } or { IPRange.Length: > 0 }))
        {
            if (Parse(config, ipv6, errors) is { } request)
            {
                requests.Add(request);
            }
        }

        if (requests.CountBy(request => request.Family).Any(family => family.Value > 1))
        {
            errors.Add("bridge driver doesn't support multiple subnets");
        }

        return errors.Count > 0 ? throw NetworkErrors.Invalid($"invalid network config:\n{string.Join('\n', errors)}")
            : new IpamRequest(requests.Find(request => request.Family == AddressFamily.InterNetwork), requests.Find(request => request.Family == AddressFamily.InterNetworkV6));
    }

    /// <returns>Null where it is not looked at, or was wrong from the beginning.</returns>
    private static SubnetRequest? Parse(IPAMConfig config, bool ipv6, List<string> errors)
    {
        bool skipped = !ipv6 && config.Subnet?.Contains(':', StringComparison.Ordinal) == true;
        if (skipped || Network("subnet", config.Subnet ?? "", errors) is not { } subnet)
        {
            return null;
        }

        CheckSubnet(subnet, errors);
        IPNetwork? range = config.IPRange is { Length: > 0 } text ? Network("ip-range", text, errors) : null;
        if (range is { } part)
        {
            CheckRange(part, subnet, errors);
        }

        foreach (string address in config.AuxiliaryAddresses?.Values ?? Enumerable.Empty<string>())
        {
            _ = Address("auxiliary address", address, subnet, errors);
        }

        IPAddress? gateway = config.Gateway is { Length: > 0 } given ? Address("gateway", given, subnet, errors) : null;
        return new SubnetRequest(subnet, gateway, range, config.AuxiliaryAddresses);
    }

    private static void CheckSubnet(IPNetwork subnet, List<string> errors)
    {
        if (subnet.BaseAddress.AddressFamily == AddressFamily.InterNetwork)
        {
            if (subnet.PrefixLength is < 8 or > 30)
            {
                errors.Add($"invalid subnet {subnet}: the prefix must have 8 to 30 bits");
            }
        }
        else if (subnet.BaseAddress.IsIPv4MappedToIPv6)
        {
            errors.Add($"'{subnet}' is not a valid IPv6 subnet");
        }
        else if (DefaultSubnets.Overlap(Multicast, subnet))
        {
            errors.Add($"multicast subnet '{subnet}' is not allowed");
        }
        else if (DefaultSubnets.Overlap(LinkLocal, subnet))
        {
            errors.Add($"'{subnet}' clashes with the Link-Local prefix 'fe80::/64'");
        }
        else if (subnet.PrefixLength is < 8 or > 126)
        {
            errors.Add($"invalid subnet {subnet}: the prefix must have 8 to 126 bits");
        }
    }

    private static void CheckRange(IPNetwork range, IPNetwork subnet, List<string> errors)
    {
        if (range.BaseAddress.AddressFamily != subnet.BaseAddress.AddressFamily)
        {
            errors.Add($"invalid ip-range {range}: {ParentIs(subnet)}");
        }
        else if (range.PrefixLength < subnet.PrefixLength)
        {
            errors.Add($"invalid ip-range {range}: CIDR block is bigger than its parent subnet {subnet}");
        }
        else if (!subnet.Contains(range.BaseAddress))
        {
            errors.Add($"invalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range");
        }
    }

    private static string ParentIs(IPNetwork subnet) => $"parent subnet is an IPv{(subnet.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? 4 : 6)} block";

    private static IPNetwork? Network(string what, string text, List<string> errors)
    {
        string[] parts = text.Split('/');
        if (parts.Length != 2 || text.Contains('%', StringComparison.Ordinal) || !IPAddress.TryParse(parts[0], out IPAddress? address) || !int.TryParse(parts[1], out int length)
            || length < 0 || length > (address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128))
        {
            errors.Add($"invalid {what} {text}: invalid CIDR block notation");
            return null;
        }

        IPNetwork network = DefaultSubnets.NetworkOf(address, length);
        if (!network.BaseAddress.Equals(address))
        {
            errors.Add($"invalid {what} {text}: it should be {network}");
            return null;
        }

        return network;
    }

    private static IPAddress? Address(string what, string text, IPNetwork subnet, List<string> errors)
    {
        if (!IPAddress.TryParse(text, out IPAddress? address))
        {
            errors.Add($"invalid {what} {text}: invalid address");
            return null;
        }

        if (address.AddressFamily != subnet.BaseAddress.AddressFamily)
        {
            errors.Add($"invalid {what} {text}: {ParentIs(subnet)}");
        }
        else if (!subnet.Contains(address))
        {
            errors.Add($"invalid {what} {text}: parent subnet {subnet} doesn't contain this address");
        }

        return address;
    }
}

/// <summary>A subnet that is asked for.</summary>
/// <param name="Gateway">Null: the first address that is free.</param>
/// <param name="Range">Null: all of the subnet.</param>
internal sealed record SubnetRequest(IPNetwork Subnet, IPAddress? Gateway, IPNetwork? Range, IReadOnlyDictionary<string, string>? AuxiliaryAddresses)
{
    public AddressFamily Family => Subnet.BaseAddress.AddressFamily;
}
