using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Api.Containers;
using Slipway.Cli.Options;
using Slipway.Engine;
using Slipway.Runtime.Confinement;

namespace Slipway.Cli.Roles;

/// <summary>A limit of <c>default-ulimits</c>, as dockerd writes it.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record UlimitDirectives
{
    public string? Name { get; init; }

    public long Hard { get; init; }

    public long Soft { get; init; }
}

/// <summary>The directives about what containers get that do not say otherwise.</summary>
internal static class ContainerDirectives
{
    /// <exception cref="CommandException">A value that cannot be meant.</exception>
    public static EngineOptions Apply(DaemonConfiguration configuration, EngineOptions options) => options with
    {
        InterContainer = configuration.InterContainer ?? true,
        Antispoof = configuration.Antispoof ?? false,
        Mtu = configuration.Mtu is null or 0 or (>= 68 and <= 65535) ? configuration.Mtu ?? 0 : throw Invalid("mtu", configuration.Mtu.Value.ToString(CultureInfo.InvariantCulture), "it must be from 68 to 65535"),
        PublishAddress = Address("ip", configuration.PublishAddress) is { } address && !address.Equals(IPAddress.Any) ? address : null,
        Defaults = new ContainerDefaults
        {
            Dns = [.. (configuration.Dns ?? []).Select(server => Address("dns", server)!.ToString())],
            DnsSearch = configuration.DnsSearch ?? [],
            DnsOptions = configuration.DnsOptions ?? [],
            Ulimits = [.. (configuration.DefaultUlimits ?? []).Select(limit => Limit(limit.Key, limit.Value))],
            ShmSize = ShmSize(configuration.DefaultShmSize),
            IpcMode = configuration.DefaultIpcMode is null or "" ? "private"
                : configuration.DefaultIpcMode is "private" or "shareable" ? configuration.DefaultIpcMode
                : throw Invalid("default-ipc-mode", configuration.DefaultIpcMode, "it must be private or shareable"),
            CgroupNamespace = configuration.DefaultCgroupNamespace is null or "" or "host" or "private" ? configuration.DefaultCgroupNamespace ?? ""
                : throw Invalid("default-cgroupns-mode", configuration.DefaultCgroupNamespace, "it must be host or private"),
            Runtime = configuration.DefaultRuntime is { Length: > 0 } runtime and not "runc" ? runtime : EngineOptions.OwnRuntime,
            NoNewPrivileges = configuration.NoNewPrivileges ?? false,
            SeccompProfile = Profile(configuration.SeccompProfile),
            HostGateways = HostGateways(configuration),
        },
    };

    private static IPAddress? Address(string key, string? text) => string.IsNullOrEmpty(text) ? null : RequiredAddress(key, text);

    /// <summary>In full: .NET takes "10" for 0.0.0.10 and "010.0.0.1" for 8.0.0.1.</summary>
    private static IPAddress RequiredAddress(string key, string? text) =>
        IPAddress.TryParse(text, out IPAddress? address) && (address.AddressFamily == AddressFamily.InterNetworkV6 || address.ToString() == text) ? address
        : throw Invalid(key, text ?? "", "it is no IP address");

    private static List<IPAddress> HostGateways(DaemonConfiguration configuration)
    {
        if (configuration.HostGateways is null)
        {
            return Address("host-gateway-ip", configuration.HostGateway) is { } single ? [Unmapped(single)] : [];
        }

        List<IPAddress> addresses = [];
        foreach (string text in configuration.HostGateways)
        {
            IPAddress address = Unmapped(RequiredAddress("host-gateway-ips", text));
            if (addresses.Any(other => other.AddressFamily == address.AddressFamily))
            {
                throw Invalid("host-gateway-ips", text, $"only one {(address.AddressFamily == AddressFamily.InterNetwork ? "IPv4" : "IPv6")} host gateway IP address can be specified");
            }

            addresses.Add(address);
        }

        return addresses;

        static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    private static Ulimit Limit(string key, UlimitDirectives limit) =>
        limit.Name is { Length: > 0 } && limit.Name != key ? throw Invalid("default-ulimits", key, $"its Name is {limit.Name}")
        : limit.Hard != -1 && (limit.Soft == -1 || limit.Soft > limit.Hard) ? throw Invalid("default-ulimits", key, $"the soft limit must be less than or equal to the hard limit: {limit.Soft} > {limit.Hard}")
        : new Ulimit(key, limit.Hard, limit.Soft);

    private static long ShmSize(JsonElement? value)
    {
        long size = value?.ValueKind switch
        {
            null or JsonValueKind.Null => ContainerDefaults.DefaultShmSize,
            JsonValueKind.Number when value.Value.TryGetInt64(out long bytes) => bytes,
            JsonValueKind.String => Quantities.Bytes(value.Value.GetString()!),
            _ => -1,
        };
        return size > 0 ? size : throw Invalid("default-shm-size", value!.Value.GetRawText(), "it must be a size, such as \"64M\"");
    }

    /// <summary>The file is read and looked at now: a profile that cannot be meant must not be found out by the first container.</summary>
    private static string? Profile(string? value)
    {
        if (value is null or "" or "builtin" or ContainerDefaults.Unconfined)
        {
            return value == ContainerDefaults.Unconfined ? value : null;
        }

        try
        {
            string text = File.ReadAllText(value);
            SeccompProfileReader.Parse(text);
            return text;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ConfinementException)
        {
            throw Invalid("seccomp-profile", value, exception.Message);
        }
    }

    private static CommandException Invalid(string key, string value, string reason) => new($"unable to configure the Slipway engine: {key}: {value}: {reason}", 1);
}
