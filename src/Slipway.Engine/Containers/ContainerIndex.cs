using System.Collections.Concurrent;

namespace Slipway.Engine.Containers;

/// <summary>The containers of an engine by id and name. Reads never wait.</summary>
internal sealed class ContainerIndex
{
    private readonly ConcurrentDictionary<string, Container> _byId = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, Container> _hidden = new(StringComparer.Ordinal);

    /// <summary>Name to the id that owns it; a name is reserved before its container exists.</summary>
    private readonly ConcurrentDictionary<string, string> _owners = new(StringComparer.Ordinal);

    public IEnumerable<Container> All => _byId.Values;

    public void Add(Container container) => _byId[container.Id] = container;

    public Container? Find(string id) => _byId.GetValueOrDefault(id) ?? _hidden.GetValueOrDefault(id);

    /// <summary>Adds a container that only <see cref="Find"/> finds: the engine's own.</summary>
    public void AddHidden(Container container) => _hidden[container.Id] = container;

    /// <summary>Takes a container and its name out.</summary>
    public void Remove(Container container)
    {
        _byId.TryRemove(container.Id, out _);
        _hidden.TryRemove(container.Id, out _);
        Release(container.Snapshot.Name, container.Id);
    }

    /// <exception cref="EngineException">Conflict: the name is taken.</exception>
    public void Reserve(string name, string id)
    {
        string owner = _owners.GetOrAdd(name, id);
        if (!ReferenceEquals(owner, id))
        {
            throw ContainerErrors.NameInUse(name, owner);
        }
    }

    public bool TryReserve(string name, string id) => _owners.TryAdd(name, id);

    public void Release(string name, string id) => _owners.TryRemove(KeyValuePair.Create(name, id));

    /// <summary>As <see cref="Resolve"/>, or null where there is none.</summary>
    public Container? TryResolve(string reference)
    {
        try
        {
            return Resolve(reference);
        }
        catch (EngineException)
        {
            return null;
        }
    }

    /// <summary>By full id, name, or unique prefix of an id, in this order, as Docker does.</summary>
    /// <exception cref="EngineException">NotFound, or InvalidParameter for an ambiguous prefix.</exception>
    public Container Resolve(string reference)
    {
        if (reference.Length == 0)
        {
            throw ContainerErrors.Invalid("invalid name or ID supplied: \"\"");
        }

        if (_byId.TryGetValue(reference, out Container? exact))
        {
            return exact;
        }

        string name = reference[0] == '/' ? reference[1..] : reference;
        if (_owners.TryGetValue(name, out string? id) && _byId.TryGetValue(id, out Container? named))
        {
            return named;
        }

        Container? match = null;
        foreach ((string candidate, Container container) in _byId)
        {
            if (candidate.StartsWith(reference, StringComparison.Ordinal))
            {
                match = match is null ? container : throw ContainerErrors.Invalid($"multiple IDs found with provided prefix: {reference}");
            }
        }

        return match ?? throw ContainerErrors.NoSuchContainer(reference);
    }
}
