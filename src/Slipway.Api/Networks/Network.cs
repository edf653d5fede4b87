using System.Text.Json.Serialization;
using Slipway.Api.Containers;

namespace Slipway.Api.Networks;

/// <summary>GET /networks/{id} (API "Network").</summary>
public sealed record Network
{
    public required string Name { get; set; }

    public required string Id { get; set; }

    public required string Created { get; set; }

    public string Scope { get; set; } = "local";

    public required string Driver { get; set; }

    public bool EnableIPv4 { get; set; } = true;

    public bool EnableIPv6 { get; set; }

    public required IPAM IPAM { get; set; }

    public bool Internal { get; set; }

    public bool Attachable { get; set; }

    public bool Ingress { get; set; }

    public ConfigReference ConfigFrom { get; set; } = new("");

    public bool ConfigOnly { get; set; }

    /// <summary>By container id; empty in lists.</summary>
    public Dictionary<string, NetworkContainer> Containers { get; set; } = [];

    public Dictionary<string, string>? Options { get; set; } = [];

    public Dictionary<string, string>? Labels { get; set; } = [];

    /// <summary>The hosts of a network that spans several; null for others.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public List<NetworkPeer>? Peers { get; set; }
}

/// <summary>A host of a network that spans several (API "PeerInfo").</summary>
public sealed record NetworkPeer(string Name, string IP);

public sealed record ConfigReference(string Network)
{
    public string Network { get; init; } = Network ?? "";
}

/// <summary>A container on a network; addresses with their prefix length.</summary>
public sealed record NetworkContainer(string Name, string EndpointID, string MacAddress, string IPv4Address, string IPv6Address);

/// <summary>Where a network's addresses come from.</summary>
public sealed record IPAM
{
    public string Driver { get; set; } = "default";

    public Dictionary<string, string>? Options { get; set; }

    public List<IPAMConfig>? Config { get; set; }
}

/// <summary>A subnet of a network.</summary>
public sealed record IPAMConfig
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Subnet { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? IPRange { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Gateway { get; set; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Dictionary<string, string>? AuxiliaryAddresses { get; set; }
}

/// <summary>POST /networks/create.</summary>
public sealed record NetworkCreateRequest
{
    public string Name { get; set; } = "";

    public string Driver { get; set; } = "";

    public string Scope { get; set; } = "";

    public bool Internal { get; set; }

    public bool Attachable { get; set; }

    public bool Ingress { get; set; }

    public bool ConfigOnly { get; set; }

    public ConfigReference? ConfigFrom { get; set; }

    public IPAM? IPAM { get; set; }

    public bool? EnableIPv4 { get; set; }

    public bool? EnableIPv6 { get; set; }

    public Dictionary<string, string>? Options { get; set; }

    public Dictionary<string, string>? Labels { get; set; }
}

public sealed record NetworkCreateResponse(string Id, string Warning);

/// <summary>POST /networks/{id}/connect.</summary>
public sealed record NetworkConnectRequest
{
    public string Container { get; set; } = "";

    public EndpointSettings? EndpointConfig { get; set; }
}

/// <summary>POST /networks/{id}/disconnect.</summary>
public sealed record NetworkDisconnectRequest
{
    public string Container { get; set; } = "";

    public bool Force { get; set; }
}
