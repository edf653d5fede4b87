using Slipway.Engine.Networks.Types;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>A network of a user, made and ready.</summary>
internal sealed class UserNetwork(string id, string name, DateTimeOffset created, NetworkDocument document, INetworkType type, INetworkDriver driver)
{
    private readonly Lock _lock = new();
    private readonly HashSet<string> _users = [];
    private bool _removed;

    public string Id { get; } = id;

    public string Name { get; } = name;

    public DateTimeOffset Created { get; } = created;

    public NetworkDocument Document { get; } = document;

    public INetworkType Type { get; } = type;

    public INetworkDriver Driver { get; } = driver;

    public NetworkNames Names { get; } = new(name);

    /// <summary>Makes a container's names known, here and to other hosts that have the network; again for the same one: its names change.</summary>
    public void Announce(EndpointInfo endpoint, IReadOnlyList<string> names)
    {
        Names.Set(endpoint.EndpointId, names, endpoint.Addresses);
        Type.Shared?.Announce(Id, endpoint, names);
    }

    /// <summary>A container leaves the network.</summary>
    public void Withdraw(string endpointId)
    {
        Names.Remove(endpointId);
        Type.Shared?.Withdraw(endpointId);
    }

    /// <summary>No container is on it.</summary>
    public bool IsUnused
    {
        get
        {
            lock (_lock)
            {
                return _users.Count == 0;
            }
        }
    }

    /// <summary>Keeps the network from being removed; false where it was.</summary>
    public bool TryUse(string endpointId)
    {
        lock (_lock)
        {
            return !_removed && _users.Add(endpointId);
        }
    }

    public void Leave(string endpointId)
    {
        lock (_lock)
        {
            _users.Remove(endpointId);
        }
    }

    /// <summary>From now on nobody can use it; false where somebody does.</summary>
    public bool TryRetire()
    {
        lock (_lock)
        {
            return _users.Count == 0 && (_removed = true);
        }
    }

    /// <summary>Takes back <see cref="TryRetire"/>: it could not be removed.</summary>
    public void Reinstate()
    {
        lock (_lock)
        {
            _removed = false;
        }
    }
}
