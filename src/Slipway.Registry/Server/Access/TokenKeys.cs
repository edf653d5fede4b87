using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Registry.Server.Access;

/// <summary>The keys that tokens are checked with, and the one that own tokens are signed with.</summary>
internal static class TokenKeys
{
    /// <summary>The public keys in PEM files: certificates or bare keys, several in a file.</summary>
    /// <exception cref="RegistryConfigurationException">A file that has none.</exception>
    public static IReadOnlyList<AsymmetricAlgorithm> Load(IEnumerable<string> paths) => [.. paths.SelectMany(Load)];

    /// <summary>The registry's own key, made at the first start and kept in its root.</summary>
    public static ECDsa OwnKey(string root)
    {
        string path = Path.Combine(root, "token-key.pem");
        try
        {
            ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            if (File.Exists(path))
            {
                key.ImportFromPem(File.ReadAllText(path));
                return key;
            }

            using FileStream file = new(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            file.Write(System.Text.Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem()));
            return key;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new RegistryConfigurationException($"the key for tokens, {path}: {e.Message}", e);
        }
    }

    private static List<AsymmetricAlgorithm> Load(string path)
    {
        try
        {
            string text = File.ReadAllText(path);
            List<AsymmetricAlgorithm> keys = [];
            for (ReadOnlySpan<char> rest = text; PemEncoding.TryFind(rest, out PemFields fields); rest = rest[fields.Location.End..])
            {
                ReadOnlySpan<char> pem = rest[fields.Location];
                switch (rest[fields.Label].ToString())
                {
                    case "CERTIFICATE":
                        using (X509Certificate2 certificate = X509Certificate2.CreateFromPem(pem))
                        {
                            keys.Add(certificate.GetRSAPublicKey() ?? (AsymmetricAlgorithm?)certificate.GetECDsaPublicKey()
                                ?? throw new CryptographicException("a certificate with a key that is neither RSA nor EC"));
                        }

                        break;
                    case "PUBLIC KEY":
                        keys.Add(ImportPublicKey(pem.ToString()));
                        break;
                    default:
                        break;
                }
            }

            return keys.Count > 0 ? keys : throw new CryptographicException("no certificate and no public key in it");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new RegistryConfigurationException($"auth.token.trustedKeys, {path}: {e.Message}", e);
        }
    }

    private static AsymmetricAlgorithm ImportPublicKey(string pem)
    {
        RSA rsa = RSA.Create();
        try
        {
            rsa.ImportFromPem(pem);
            return rsa;
        }
        catch (CryptographicException)
        {
            rsa.Dispose();
            ECDsa ec = ECDsa.Create();
            ec.ImportFromPem(pem);
            return ec;
        }
    }
}
