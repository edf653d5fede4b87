namespace Slipway.Registry.Peers;

/// <summary>Engines that share layers (docs/registries.md). Nothing is asked or served unless it is configured.</summary>
public sealed record PeerConfiguration
{
    /// <summary><c>layer-peers</c>: <c>HOST:PORT</c> of engines that are asked for a layer before the registry is.</summary>
    public IReadOnlyList<string> Peers { get; init; } = [];

    /// <summary><c>layer-share</c>: <c>IP:PORT</c> where other engines may fetch layers; null: nowhere.</summary>
    public string? Listen { get; init; }

    /// <summary><c>layer-tls</c>: who we are, and whom we believe. Needed for either.</summary>
    public PeerTls? Tls { get; init; }

    /// <exception cref="FormatException">A value that cannot be meant.</exception>
    public void Validate()
    {
        foreach (var peer in Peers)
        {
            if (!Uri.TryCreate($"https://{peer}/", UriKind.Absolute, out var address) || address.UserInfo.Length > 0 || address.AbsolutePath != "/" || !peer.Contains(':', StringComparison.Ordinal))
            {
                throw new FormatException($"invalid layer peer \"{peer}\": it must be HOST:PORT");
            }
        }

        if (Tls is null && (Peers.Count > 0 || Listen is not null))
        {
            throw new FormatException("sharing layers needs layer-tls: engines know each other by certificates");
        }
    }
}

/// <summary>Files in PEM.</summary>
public sealed record PeerTls
{
    /// <summary>Authorities whose certificates engines show each other; those of the system have no say.</summary>
    public required string CertificateAuthority { get; init; }

    /// <summary>Of this engine, for both roles: TLS server and TLS client.</summary>
    public required string Certificate { get; init; }

    public required string Key { get; init; }
}
