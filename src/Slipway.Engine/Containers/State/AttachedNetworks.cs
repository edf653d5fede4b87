using System.Collections.Immutable;
using Slipway.Engine.Containers.Create;

namespace Slipway.Engine.Containers.State;

/// <summary>The endpoints of a container while it runs: committed together with the start, so that recovery gives them back.</summary>
/// <param name="Endpoint">On the default bridge, or null.</param>
/// <param name="Networks">On networks of users, by name.</param>
internal sealed record AttachedNetworks(StoredEndpoint? Endpoint, ImmutableSortedDictionary<string, StoredEndpoint> Networks)
{
    public static AttachedNetworks None { get; } = new(null, ImmutableSortedDictionary.Create<string, StoredEndpoint>(StringComparer.Ordinal));

    public IEnumerable<KeyValuePair<string, StoredEndpoint>> All => Endpoint is null ? Networks : Networks.Prepend(new(NamespaceModes.Bridge, Endpoint));

    public IEnumerable<string> Names => All.Select(entry => entry.Key);

    public StoredEndpoint? Find(string network) => network == NamespaceModes.Bridge ? Endpoint : Networks.GetValueOrDefault(network);

    public AttachedNetworks With(string network, StoredEndpoint endpoint) =>
        network == NamespaceModes.Bridge ? this with { Endpoint = endpoint } : this with { Networks = Networks.SetItem(network, endpoint) };

    public AttachedNetworks Without(string network) =>
        network == NamespaceModes.Bridge ? this with { Endpoint = null } : this with { Networks = Networks.Remove(network) };
}
