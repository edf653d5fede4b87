using System.Net;
using Slipway.Networking;

namespace Slipway.Engine.Containers.State;

/// <summary>An <see cref="EndpointInfo"/> in a form that is stored as JSON.</summary>
internal sealed record StoredEndpoint
{
    public required string EndpointId { get; init; }

    public required string Address { get; init; }

    public int PrefixLength { get; init; }

    /// <summary>Empty on an internal network.</summary>
    public required string Gateway { get; init; }

    public required string MacAddress { get; init; }

    public required string HostLink { get; init; }

    public IReadOnlyList<StoredPort> Ports { get; init; } = [];

    public static StoredEndpoint From(EndpointInfo endpoint) => new()
    {
        EndpointId = endpoint.EndpointId,
        Address = endpoint.Address.ToString(),
        PrefixLength = endpoint.PrefixLength,
        Gateway = endpoint.Gateway?.ToString() ?? "",
        MacAddress = endpoint.MacAddress,
        HostLink = endpoint.HostLink,
        Ports = [.. endpoint.Ports.Select(port => new StoredPort(port.Protocol, port.ContainerPort, port.HostAddress.ToString(), port.HostPort))],
    };

    public EndpointInfo ToEndpoint() => new(
        EndpointId,
        IPAddress.Parse(Address),
        PrefixLength,
        Gateway.Length == 0 ? null : IPAddress.Parse(Gateway),
        MacAddress,
        HostLink,
        [.. Ports.Select(port => new PublishedPort(port.Protocol, port.ContainerPort, IPAddress.Parse(port.HostAddress), port.HostPort))]);
}

internal sealed record StoredPort(PortProtocol Protocol, ushort ContainerPort, string HostAddress, ushort HostPort);
