namespace Slipway.Engine.Cluster.Records;

/// <summary>The records of this member, with the changes that others may lack.</summary>
/// <param name="incarnation">Higher than those of earlier lives of this member.</param>
internal sealed class OwnRecords(long incarnation)
{
    /// <summary>Changes in one message.</summary>
    public const int MaxChanges = 200;

    /// <summary>What is no more is told to those who knew it; beyond this all begin from nothing.</summary>
    private const int MaxGone = 5000;

    private readonly Dictionary<string, RecordChange> _changes = new(StringComparer.Ordinal);
    private long _incarnation = incarnation;
    private long _version;
    private int _gone;

    public RecordPosition Position => new(_incarnation, _version);

    public static string KeyOf(NetworkRecord network) => $"network/{network.Id}";

    public static string KeyOf(EndpointRecord endpoint) => $"endpoint/{endpoint.Id}";

    public void Set(NetworkRecord network) => Put(KeyOf(network), new RecordChange(++_version, network, null, null));

    public void Set(EndpointRecord endpoint) => Put(KeyOf(endpoint), new RecordChange(++_version, null, endpoint, null));

    public void RemoveEndpoint(string id)
    {
        string key = $"endpoint/{id}";
        if (!_changes.TryGetValue(key, out RecordChange? change) || change.Gone is not null)
        {
            return;
        }

        Put(key, new RecordChange(++_version, null, null, key));
        if (++_gone > MaxGone)
        {
            Compact();
        }
    }

    /// <summary>What a member lacks that has a position.</summary>
    public RecordDelta Since(RecordPosition position)
    {
        long since = position.Incarnation == _incarnation && position.Version <= _version ? position.Version : 0;
        List<RecordChange> changes = [.. _changes.Values.Where(change => change.Version > since).OrderBy(change => change.Version).Take(MaxChanges + 1)];
        bool whole = changes.Count <= MaxChanges;
        return new RecordDelta { Incarnation = _incarnation, Since = since, Changes = whole ? changes : changes[..MaxChanges], IsWhole = whole };
    }

    private void Put(string key, RecordChange change)
    {
        _gone -= _changes.TryGetValue(key, out RecordChange? before) && before.Gone is not null ? 1 : 0;
        _changes[key] = change;
    }

    private void Compact()
    {
        foreach (string key in _changes.Where(change => change.Value.Gone is not null).Select(change => change.Key).ToArray())
        {
            _changes.Remove(key);
        }

        (_gone, _incarnation) = (0, _incarnation + 1);
    }
}
