using Slipway.Registry.Distribution;

namespace Slipway.Registry.Server.Upstream;

/// <summary>The cache of another registry that a configuration asks for, with the client it needs.</summary>
internal sealed class UpstreamSource : IDisposable
{
    private readonly DistributionClient _client;

    private UpstreamSource(DistributionClient client, UpstreamContent content) => (_client, Content) = (client, content);

    public UpstreamContent Content { get; }

    /// <exception cref="RegistryConfigurationException">The password cannot be read.</exception>
    public static UpstreamSource Create(CacheConfiguration configuration, RegistryContent content, TimeProvider time)
    {
        RegistryCredentials? credentials = null;
        if (configuration.Username.Length > 0)
        {
            credentials = new RegistryCredentials { Username = configuration.Username, Password = ReadPassword(configuration.PasswordFile), ServerAddress = configuration.Upstream };
        }

        RegistrySettings settings = new()
        {
            Insecure = configuration.Insecure,
            CertificateAuthority = configuration.CertificateAuthority,
            TokenRealms = configuration.TokenRealms,
        };
        try
        {
            DistributionClient client = new(
                new RegistryConfiguration { Registries = new Dictionary<string, RegistrySettings> { [configuration.Upstream] = settings } }, time);
            return new UpstreamSource(
                client, new UpstreamContent(content, client, configuration.Upstream, credentials, Duration.Parse(configuration.TagLifetime, "cache.tagLifetime"), time));
        }
        catch (FormatException e)
        {
            throw new RegistryConfigurationException($"cache: {e.Message}", e);
        }
    }

    public void Dispose()
    {
        Content.Dispose();
        _client.Dispose();
    }

    private static string ReadPassword(string? path)
    {
        try
        {
            return File.ReadLines(path ?? throw new RegistryConfigurationException("cache: a username without a passwordFile")).FirstOrDefault("");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RegistryConfigurationException($"cache.passwordFile: {e.Message}", e);
        }
    }
}
