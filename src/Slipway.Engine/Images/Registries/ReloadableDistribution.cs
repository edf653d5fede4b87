using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Images.Registries;

/// <summary>The client side of registries, whose configuration may be changed while the engine runs: what is under way ends as it began.</summary>
internal sealed class ReloadableDistribution(RegistryConfiguration configuration, TimeProvider time) : IDistribution, IDisposable
{
    private readonly List<DistributionClient> _former = [];
    private volatile DistributionClient _current = new(configuration, time);

    public IRemoteRepository Open(Reference name, RegistryAccess access, RegistryCredentials? credentials) => _current.Open(name, access, credentials);

    public Task<string?> LoginAsync(RegistryCredentials credentials, CancellationToken cancellationToken) => _current.LoginAsync(credentials, cancellationToken);

    /// <exception cref="FormatException">The configuration holds a value that cannot be meant; nothing is changed.</exception>
    public void Reload(RegistryConfiguration next)
    {
        DistributionClient client = new(next, time);
        _former.Add(_current);
        _current = client;
    }

    public void Dispose()
    {
        _current.Dispose();
        _former.ForEach(client => client.Dispose());
    }
}
