using Slipway.Engine.Containers;

namespace Slipway.Engine.Volumes;

/// <summary>A volume in memory. Changed only by the holder of its lock; readers see one whole state or the next.</summary>
internal sealed class VolumeEntry(string name)
{
    private static long s_last;

    private volatile VolumeDocument? _document;
    private volatile IReadOnlyList<string> _users = [];

    public string Name { get; } = name;

    /// <summary>No other entry has had it: one that is made anew under the name is another volume.</summary>
    public long Incarnation { get; } = Interlocked.Increment(ref s_last);

    public AsyncLock Lock { get; } = new();

    /// <summary>Null: it does not exist, or not any more.</summary>
    public VolumeDocument? Document
    {
        get => _document;
        set => _document = value;
    }

    public DateTimeOffset Created { get; set; }

    /// <summary>Taken out of the index: who waited for the lock looks there again.</summary>
    public bool IsGone { get; set; }

    /// <summary>Ids of the containers that name it, whatever their state.</summary>
    public IReadOnlyList<string> Users => _users;

    /// <summary>Ids of those that have it mounted.</summary>
    public HashSet<string> Mounted { get; } = [];

    /// <summary>How often it was mounted for somebody since the engine started.</summary>
    public long Mounts { get; set; }

    /// <summary>Completes when a copy of it is done; nobody mounts it before. Null where none is made.</summary>
    public TaskCompletionSource? Copying { get; set; }

    /// <summary>Where its content lies on the host; empty where the driver tells that only when it mounts.</summary>
    public string Path { get; set; } = "";

    /// <param name="incarnation">Null: whichever it is.</param>
    public bool Is(long? incarnation) => incarnation is null || incarnation == Incarnation;

    public void AddUser(string container) => _users = _users.Contains(container) ? _users : [.. _users, container];

    public void RemoveUser(string container) => _users = [.. _users.Where(user => user != container)];
}
