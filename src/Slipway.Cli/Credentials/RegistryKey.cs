using Slipway.Oci;

namespace Slipway.Cli.Credentials;

/// <summary>What a registry is called where credentials are kept: its host, and for Docker Hub an address that no registry has any more.</summary>
internal static class RegistryKey
{
    public const string Hub = "https://index.docker.io/v1/";

    public static string Of(Reference name) => name.Domain == Reference.DefaultDomain ? Hub : name.Domain;

    /// <summary>As a user names a server at <c>login</c>: nothing for Docker Hub, a host, or an address whose host counts.</summary>
    public static string OfServer(string? server) =>
        string.IsNullOrEmpty(server) || server == Hub ? Hub
        : Host(server) is "docker.io" or "index.docker.io" or "registry-1.docker.io" ? Hub
        : Host(server);

    /// <summary>The host and port of a key that may be an address, as old files have them.</summary>
    public static string Host(string key)
    {
        int scheme = key.IndexOf("://", StringComparison.Ordinal);
        string rest = scheme < 0 ? key : key[(scheme + 3)..];
        int slash = rest.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? rest : rest[..slash];
    }
}
