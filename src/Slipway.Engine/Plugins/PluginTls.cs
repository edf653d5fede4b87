using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Slipway.Engine.Plugins;

/// <summary>How TLS is spoken to a plugin: <c>TLSConfig</c> of its <c>.json</c> file.</summary>
internal sealed record PluginTls
{
    /// <summary>Who certifies the plugin (PEM), and nobody else; empty: the authorities of the system.</summary>
    public string CAFile { get; set; } = "";

    /// <summary>The engine's own certificate (PEM); empty: it shows none.</summary>
    public string CertFile { get; set; } = "";

    /// <summary>Its key (PEM); empty: it is in the same file.</summary>
    public string KeyFile { get; set; } = "";

    /// <summary>Believe anybody.</summary>
    public bool InsecureSkipVerify { get; set; }

    /// <summary>Reads the files.</summary>
    /// <param name="host">Whom the plugin's certificate has to name.</param>
    /// <exception cref="IOException">One cannot be read, or is not what it should be; the message names it.</exception>
    public SslClientAuthenticationOptions Load(string host)
    {
        SslClientAuthenticationOptions options = new() { TargetHost = host, EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13 };
        if (InsecureSkipVerify)
        {
#pragma warning disable CA5359 // Asked for by name; Docker's option.
            options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }
        else if (CAFile.Length > 0)
        {
            X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            Read(CAFile, () => policy.CustomTrustStore.ImportFromPemFile(CAFile));
            options.CertificateChainPolicy = policy.CustomTrustStore.Count > 0 ? policy : throw new IOException($"{CAFile}: there is no certificate in it");
        }

        if (CertFile.Length > 0)
        {
            Read(CertFile, () => options.ClientCertificates = [X509Certificate2.CreateFromPemFile(CertFile, KeyFile.Length > 0 ? KeyFile : null)]);
        }

        return options;
    }

    private static void Read(string file, Action read)
    {
        try
        {
            read();
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new IOException($"{file}: {exception.Message}", exception);
        }
    }
}
