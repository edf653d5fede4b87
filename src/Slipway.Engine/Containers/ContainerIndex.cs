using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace Slipway.Engine.Containers;

/// <summary>The containers of an engine by id and name. Reads never wait.</summary>
internal sealed class ContainerIndex
{
    private readonly ConcurrentDictionary<string, Container> _byId = new(StringComparer.Ordinal);

    /// <summary>The keys of <see cref="_byId"/> in order: the CLI asks for a thousand containers by a thousand prefixes.</summary>
    private ImmutableSortedSet<string> _ids = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, Container> _hidden = new(StringComparer.Ordinal);

    /// <summary>Name to the id that owns it; a name is reserved before its container exists.</summary>
    private readonly ConcurrentDictionary<string, string> _owners = new(StringComparer.Ordinal);

    public IEnumerable<Container> All => _byId.Values;

    public void Add(Container container)
    {
        _byId[container.Id] = container;
        ImmutableInterlocked.Update(ref _ids, static (ids, id) => ids.Add(id), container.Id);
    }

    public Container? Find(string id) => _byId.GetValueOrDefault(id) ?? _hidden.GetValueOrDefault(id);

    /// <summary>Adds a container that only <see cref="Find"/> finds: the engine's own.</summary>
    public void AddHidden(Container container) => _hidden[container.Id] = container;

    /// <summary>Takes a container and its name out.</summary>
    public void Remove(Container container)
    {
        ImmutableInterlocked.Update(ref _ids, static (ids, id) => ids.Remove(id), container.Id);
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

        ImmutableSortedSet<string> ids = _ids;
        int position = ids.IndexOf(reference);
        position = position < 0 ? ~position : position;
        if (!Matches(position) || !_byId.TryGetValue(ids[position], out Container? match))
        {
            throw ContainerErrors.NoSuchContainer(reference);
        }

        return Matches(position + 1) ? throw ContainerErrors.Invalid($"multiple IDs found with provided prefix: {reference}") : match;

        bool Matches(int index) => index < ids.Count && ids[index].StartsWith(reference, StringComparison.Ordinal);
    }
}
