using System.Net;
using System.Text.Json.Serialization;
using Slipway.Cli.Options;
using Slipway.Engine;
using Slipway.Engine.Cluster;
using Slipway.Networking;
using Slipway.Registry.Peers;

namespace Slipway.Cli.Roles;

/// <summary>The engines that have networks in common (<c>cluster</c>), which dockerd does not have in its file.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ClusterDirectives
{
    /// <summary>Where this engine listens to the others: <c>192.0.2.1:2377</c>.</summary>
    [JsonPropertyName("listen")]
    public string? Listen { get; init; }

    /// <summary>The address by which the others know this host; that of <see cref="Listen"/> if it is not given.</summary>
    [JsonPropertyName("advertise")]
    public string? Advertise { get; init; }

    /// <summary>All members with their ports, this one too; the same on all hosts.</summary>
    [JsonPropertyName("members")]
    public List<string>? Members { get; init; }

    [JsonPropertyName("tls")]
    public PeerTlsDirectives? Tls { get; init; }

    /// <summary>What overlay networks without a subnet of their own are cut from.</summary>
    [JsonPropertyName("address-pool")]
    public AddressPoolDirectives? AddressPool { get; init; }

    /// <summary>UDP port of VXLAN.</summary>
    [JsonPropertyName("data-port")]
    public int? DataPort { get; init; }

    /// <summary>How long packets of encrypted networks are encrypted with the same key: <c>1h</c>.</summary>
    [JsonPropertyName("key-lifetime")]
    public string? KeyLifetime { get; init; }

    /// <exception cref="CommandException">A value that cannot be meant.</exception>
    public static EngineOptions Apply(DaemonConfiguration configuration, EngineOptions options)
    {
        try
        {
            return configuration.Cluster is { } cluster ? options with { Cluster = cluster.ToConfiguration() } : options;
        }
        catch (FormatException error)
        {
            throw new CommandException(error.Message, 1);
        }
    }

    private ClusterConfiguration ToConfiguration()
    {
        IPEndPoint listen = EndPoint("listen", Listen ?? "");
        ClusterConfiguration made = new()
        {
            Listen = listen,
            Advertise = Advertise is null ? listen.Address
                : IPAddress.TryParse(Advertise, out IPAddress? advertise) ? advertise : throw new FormatException($"invalid cluster.advertise \"{Advertise}\": it must be an IPv4 address"),
            Members = [.. (Members ?? []).Select(member => EndPoint("members", member))],
            Tls = Tls is { } tls ? new PeerTls { CertificateAuthority = tls.CertificateAuthority, Certificate = tls.Certificate, Key = tls.Key }
                : throw new FormatException("a cluster needs cluster.tls: engines know each other by certificates"),
            DataPort = DataPort is null ? OverlayOptions.DefaultPort
                : DataPort is >= 1024 and < ushort.MaxValue ? (ushort)DataPort : throw new FormatException($"invalid cluster.data-port {DataPort}: it must be 1024 to 65534"),
        };
        made = AddressPool is { } pool ? made with { AddressPool = NetworkDirectives.Pool("cluster.address-pool", pool) } : made;
        made = KeyLifetime is { } lifetime ? made with { KeyLifetime = Lifetime(lifetime) } : made;
        made.Validate();
        return made;
    }

    /// <summary>Long enough for what is on the way by the key before, and not for ever.</summary>
    private static TimeSpan Lifetime(string text) => Quantities.Duration(text) is var lifetime && lifetime >= TimeSpan.FromSeconds(10) && lifetime <= TimeSpan.FromDays(1) ? lifetime
        : throw new FormatException($"invalid cluster.key-lifetime {text}: it must be between 10s and 24h");

    private static IPEndPoint EndPoint(string name, string text) =>
        text.Contains(':', StringComparison.Ordinal) && IPEndPoint.TryParse(text, out IPEndPoint? parsed) && parsed.Port != 0 ? parsed
        : throw new FormatException($"invalid cluster.{name} \"{text}\": it must be an IPv4 address and a port");
}
