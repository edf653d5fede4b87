using System.Net;

namespace Slipway.Networking;

/// <summary>The names of one network's endpoints. Readers take no lock: every change makes a new table.</summary>
public sealed class NetworkNames(string networkName)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private volatile Table _table = Table.Empty;

    /// <summary>Also the domain of the names: <c>web.backend</c> is <c>web</c> on the network <c>backend</c>.</summary>
    public string NetworkName { get; } = networkName;

    /// <summary>Makes an endpoint known; again for the same one: its names change.</summary>
    /// <param name="names">The first is the one its addresses are resolved to.</param>
    public void Set(string endpointId, IReadOnlyList<string> names, params IReadOnlyList<IPAddress> addresses) =>
        Change(() => _entries[endpointId] = new Entry(names, addresses));

    public void Remove(string endpointId) => Change(() => _entries.Remove(endpointId));

    /// <summary>The addresses, of both families, of all endpoints that have a name, in any case; none where there is no such name.</summary>
    public IReadOnlyList<IPAddress> Find(string name) => _table.Addresses.TryGetValue(name, out IPAddress[]? found) ? found : [];

    /// <summary>The name of an address, without the network's.</summary>
    public string? NameOf(IPAddress address) => _table.Names.GetValueOrDefault(address);

    private void Change(Action change)
    {
        lock (_lock)
        {
            change();
            Dictionary<string, IPAddress[]> addresses = new(StringComparer.OrdinalIgnoreCase);
            foreach (IGrouping<string, IPAddress> name in _entries.Values
                .SelectMany(entry => from name in entry.Names from address in entry.Addresses select (Name: name, Address: address))
                .GroupBy(pair => pair.Name, pair => pair.Address, StringComparer.OrdinalIgnoreCase))
            {
                addresses[name.Key] = [.. name.Distinct()];
            }

            Dictionary<IPAddress, string> names = [];
            foreach ((IReadOnlyList<string> own, IReadOnlyList<IPAddress> its) in _entries.Values)
            {
                foreach (IPAddress address in its)
                {
                    names.TryAdd(address, own[0]);
                }
            }

            _table = new Table(addresses, names);
        }
    }

    private sealed record Entry(IReadOnlyList<string> Names, IReadOnlyList<IPAddress> Addresses);

    private sealed record Table(IReadOnlyDictionary<string, IPAddress[]> Addresses, IReadOnlyDictionary<IPAddress, string> Names)
    {
        public static Table Empty { get; } = new(new Dictionary<string, IPAddress[]>(), new Dictionary<IPAddress, string>());
    }
}
