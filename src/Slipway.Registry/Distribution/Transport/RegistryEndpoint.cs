namespace Slipway.Registry.Distribution.Transport;

/// <summary>A place where a repository is asked for: the registry itself or one of its mirrors.</summary>
internal sealed record RegistryEndpoint
{
    /// <summary>Base address, ending in a slash.</summary>
    public required Uri Address { get; init; }

    /// <summary>Where an insecure registry is asked if nothing there speaks TLS; null where the scheme is configured.</summary>
    public Uri? PlainAddress { get; init; }

    /// <summary>Credentials were given for the registry, and never go to a mirror.</summary>
    public bool IsMirror { get; init; }

    public IReadOnlyList<string> TokenRealms { get; init; } = [];
}
