using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Images.Push;

/// <summary>The repositories that a push fetches from what is not on this host; each is opened once.</summary>
/// <param name="credentials">Of the target's registry; a blob that lies at another is fetched without.</param>
internal sealed class SourceRepositories(IDistribution distribution, Reference target, RegistryCredentials? credentials) : IAsyncDisposable
{
    private readonly Dictionary<string, IRemoteRepository> _opened = [];

    public IRemoteRepository Open(Reference source)
    {
        lock (_opened)
        {
            return _opened.TryGetValue(source.Name, out IRemoteRepository? known)
                ? known
                : _opened[source.Name] = distribution.Open(source, RegistryAccess.Pull, source.Domain == target.Domain ? credentials : null);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IRemoteRepository repository in _opened.Values)
        {
            await repository.DisposeAsync();
        }
    }
}
