using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>
/// What the certs.d directories hold for a host: <c>*.crt</c> authorities to trust besides the system's, <c>*.cert</c> with
/// <c>*.key</c> of the same name to authenticate with.
/// </summary>
internal sealed record CertificateDirectory(X509Certificate2Collection Authorities, X509Certificate2? Client)
{
    /// <summary>Changes when files come or go, so that a new authority counts without a restart.</summary>
    public static long Stamp(RegistryConfiguration configuration, Uri host) => Paths(configuration, host).Sum(path => Directory.GetLastWriteTimeUtc(path).Ticks % int.MaxValue);

    /// <exception cref="RegistryException">A file that cannot be read or is no certificate; the text is dockerd's for a missing half.</exception>
    public static CertificateDirectory Read(RegistryConfiguration configuration, Uri host)
    {
        var authorities = new X509Certificate2Collection();
        X509Certificate2? client = null;
        var current = "";
        try
        {
            if (configuration.Registries.GetValueOrDefault(host.Authority)?.CertificateAuthority is { } file)
            {
                current = file;
                authorities.ImportFromPemFile(file);
            }

            foreach (var path in Paths(configuration, host))
            {
                current = path;
                foreach (var entry in Directory.GetFiles(path).Order(StringComparer.Ordinal))
                {
                    current = entry;
                    client ??= Add(entry, authorities);
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new RegistryException(RegistryErrorKind.Unavailable, $"the certificates for {host.Authority} cannot be read: {current}: {error.Message}", error);
        }

        return new CertificateDirectory(authorities, client);
    }

    private static X509Certificate2? Add(string path, X509Certificate2Collection authorities)
    {
        var name = Path.GetFileName(path);
        switch (Path.GetExtension(path))
        {
            case ".crt":
                authorities.ImportFromPemFile(path);
                return null;
            case ".cert":
                var key = Path.ChangeExtension(path, ".key");
                return File.Exists(key)
                    ? X509Certificate2.CreateFromPemFile(path, key)
                    : throw new IOException($"missing key {Path.GetFileName(key)} for client certificate {name}. CA certificates must use the extension .crt");
            case ".key" when !File.Exists(Path.ChangeExtension(path, ".cert")):
                throw new IOException($"missing client certificate {Path.ChangeExtension(name, ".cert")} for key {name}");
            default:
                return null;
        }
    }

    private static IEnumerable<string> Paths(RegistryConfiguration configuration, Uri host)
    {
        string[] names = host.IsDefaultPort ? [host.Authority, $"{host.Authority}:{host.Port}"] : [host.Authority];
        return configuration.CertificateDirectories.SelectMany(directory => names.Select(name => Path.Join(directory, name))).Where(Directory.Exists);
    }
}
