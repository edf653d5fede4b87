namespace Slipway.Engine.Cluster.Records;

/// <summary>The records of another member, as it told them. Those of its former life stay until it has told all of the next.</summary>
internal sealed class PeerRecords
{
    /// <summary>Of one member; one that has more is refused.</summary>
    public const int MaxRecords = 20_000;

    private Table _known = new(default);
    private Table? _coming;

    public IEnumerable<NetworkRecord> Networks => _known.Networks.Values;

    public IEnumerable<EndpointRecord> Endpoints => _known.Endpoints.Values;

    /// <summary>How far this member has followed.</summary>
    public RecordPosition Position => (_coming ?? _known).Position;

    /// <summary>Takes changes. Those that do not go on from the position are left out: the sender learns it by the answer.</summary>
    /// <returns>Whether <see cref="Networks"/> or <see cref="Endpoints"/> changed.</returns>
    /// <exception cref="ClusterProtocolException">More than a member may have.</exception>
    public bool Apply(RecordDelta delta)
    {
        if (delta.Incarnation < _known.Position.Incarnation)
        {
            return false; // of a former life, late
        }

        if (delta.Incarnation == _known.Position.Incarnation)
        {
            _coming = null;
            return delta.Since <= _known.Position.Version && _known.Apply(delta);
        }

        if (_coming?.Position.Incarnation != delta.Incarnation)
        {
            _coming = new Table(new RecordPosition(delta.Incarnation, 0));
        }

        if (delta.Since > _coming.Position.Version)
        {
            return false;
        }

        _coming.Apply(delta);
        if (!delta.IsWhole)
        {
            return false;
        }

        (_known, _coming) = (_coming, null);
        return true;
    }

    private sealed class Table(RecordPosition position)
    {
        public RecordPosition Position { get; private set; } = position;

        public Dictionary<string, NetworkRecord> Networks { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, EndpointRecord> Endpoints { get; } = new(StringComparer.Ordinal);

        public bool Apply(RecordDelta delta)
        {
            bool changed = false;
            foreach (RecordChange change in delta.Changes.Where(change => change.Version > Position.Version))
            {
                Apply(change);
                changed = true;
                Position = Position with { Version = change.Version };
            }

            return changed;
        }

        private void Apply(RecordChange change)
        {
            if (change.Network is { } network)
            {
                Networks[OwnRecords.KeyOf(network)] = network;
            }
            else if (change.Endpoint is { } endpoint)
            {
                Endpoints[OwnRecords.KeyOf(endpoint)] = endpoint;
            }
            else if (change.Gone is { } gone)
            {
                Endpoints.Remove(gone);
                Networks.Remove(gone);
            }

            if (Networks.Count + Endpoints.Count > MaxRecords)
            {
                throw new ClusterProtocolException($"more than {MaxRecords} records of one member");
            }
        }
    }
}
