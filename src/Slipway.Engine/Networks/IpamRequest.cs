using System.Net;
using System.Net.Sockets;
using Slipway.Api.Networks;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>The addresses a request asks for; what is null is chosen.</summary>
internal sealed record IpamRequest(IPNetwork? Subnet, IPAddress? Gateway, IPNetwork? Range, IReadOnlyDictionary<string, string>? AuxiliaryAddresses)
{
    /// <exception cref="EngineException">InvalidParameter, with everything that is wrong. NotFound: another IPAM driver.</exception>
    public static IpamRequest Parse(IPAM? ipam)
    {
        if (ipam?.Driver is not (null or "" or "default"))
        {
            throw NetworkErrors.NoSuchDriver(ipam.Driver);
        }

        List<IPAMConfig> configs = [.. (ipam?.Config ?? []).Where(config => config is { Subnet.Length: > 0 } or { Gateway.Length: > 0 } or { IPRange.Length: > 0 })];
        if (configs.Count == 0)
        {
            return new IpamRequest(null, null, null, null);
        }

        if (configs.Count > 1)
        {
            throw NetworkErrors.Invalid("invalid network config:\nbridge driver doesn't support multiple subnets");
        }

        List<string> errors = [];
        IpamRequest request = Parse(configs[0], errors);
        return errors.Count == 0 ? request : throw NetworkErrors.Invalid($"invalid network config:\n{string.Join('\n', errors)}");
    }

    private static IpamRequest Parse(IPAMConfig config, List<string> errors)
    {
        if (Network("subnet", config.Subnet ?? "", errors) is not { } subnet)
        {
            return new IpamRequest(null, null, null, null);
        }

        if (subnet.BaseAddress.AddressFamily != AddressFamily.InterNetwork)
        {
            errors.Add($"invalid subnet {subnet}: IPv6 networks are not supported");
            return new IpamRequest(null, null, null, null);
        }

        if (subnet.PrefixLength is < 8 or > 30)
        {
            errors.Add($"invalid subnet {subnet}: the prefix must have 8 to 30 bits");
        }

        IPNetwork? range = config.IPRange is { Length: > 0 } text ? Network("ip-range", text, errors) : null;
        if (range is { } part && part.PrefixLength < subnet.PrefixLength)
        {
            errors.Add($"invalid ip-range {part}: CIDR block is bigger than its parent subnet {subnet}");
        }
        else if (range is { } other && !subnet.Contains(other.BaseAddress))
        {
            errors.Add($"invalid ip-range {other}: parent subnet {subnet} doesn't contain ip-range");
        }

        foreach (string address in config.AuxiliaryAddresses?.Values ?? Enumerable.Empty<string>())
        {
            _ = Address("auxiliary address", address, subnet, errors);
        }

        IPAddress? gateway = config.Gateway is { Length: > 0 } given ? Address("gateway", given, subnet, errors) : null;
        return new IpamRequest(subnet, gateway, range, config.AuxiliaryAddresses);
    }

    private static IPNetwork? Network(string what, string text, List<string> errors)
    {
        string[] parts = text.Split('/');
        if (parts.Length != 2 || !IPAddress.TryParse(parts[0], out IPAddress? address) || !int.TryParse(parts[1], out int length)
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

        if (!subnet.Contains(address))
        {
            errors.Add($"invalid {what} {text}: parent subnet {subnet} doesn't contain this address");
        }

        return address;
    }
}
