using System.Net;
using System.Text.Json.Serialization;
using Slipway.Networking;

namespace Slipway.Engine.Containers.State;

/// <summary>An <see cref="EndpointInfo"/> in a form that is stored as JSON.</summary>
internal sealed record StoredEndpoint
{
    public required string EndpointId { get; init; }

    /// <summary>The IPv4 address; empty where there is none.</summary>
    public required string Address { get; init; }

    public int PrefixLength { get; init; }

    /// <summary>Empty on an internal network.</summary>
    public required string Gateway { get; init; }

    /// <summary>Null where there is no IPv6 address.</summary>
    public string? Ipv6Address { get; init; }

    public int Ipv6PrefixLength { get; init; }

    /// <summary>Null on an internal network.</summary>
    public string? Ipv6Gateway { get; init; }

    public required string MacAddress { get; init; }

    public required string HostLink { get; init; }

    public IReadOnlyList<StoredPort> Ports { get; init; } = [];

    [JsonIgnore]
    public IEnumerable<IPAddress> Addresses => new[] { Address, Ipv6Address }.Where(address => !string.IsNullOrEmpty(address)).Select(address => IPAddress.Parse(address!));

    [JsonIgnore]
    public IEnumerable<IPAddress> Gateways => new[] { Gateway, Ipv6Gateway }.Where(address => !string.IsNullOrEmpty(address)).Select(address => IPAddress.Parse(address!));

    public static StoredEndpoint From(EndpointInfo endpoint) => new()
    {
        EndpointId = endpoint.EndpointId,
        Address = endpoint.Ipv4?.Address.ToString() ?? "",
        PrefixLength = endpoint.Ipv4?.PrefixLength ?? 0,
        Gateway = endpoint.Ipv4?.Gateway?.ToString() ?? "",
        Ipv6Address = endpoint.Ipv6?.Address.ToString(),
        Ipv6PrefixLength = endpoint.Ipv6?.PrefixLength ?? 0,
        Ipv6Gateway = endpoint.Ipv6?.Gateway?.ToString(),
        MacAddress = endpoint.MacAddress,
        HostLink = endpoint.HostLink,
        Ports = [.. endpoint.Ports.Select(port => new StoredPort(port.Protocol, port.ContainerPort, port.HostAddress.ToString(), port.HostPort))],
    };

    public EndpointInfo ToEndpoint() => new(
        EndpointId,
        EndpointAddressOf(Address, PrefixLength, Gateway),
        EndpointAddressOf(Ipv6Address, Ipv6PrefixLength, Ipv6Gateway),
        MacAddress,
        HostLink,
        [.. Ports.Select(port => new PublishedPort(port.Protocol, port.ContainerPort, IPAddress.Parse(port.HostAddress), port.HostPort))]);

    private static EndpointAddress? EndpointAddressOf(string? address, int prefixLength, string? gateway) =>
        string.IsNullOrEmpty(address) ? null : new(IPAddress.Parse(address), prefixLength, string.IsNullOrEmpty(gateway) ? null : IPAddress.Parse(gateway));
}

internal sealed record StoredPort(PortProtocol Protocol, ushort ContainerPort, string HostAddress, ushort HostPort);
