namespace Slipway.Engine;

/// <summary>The filters that all prunes share: <c>until</c>, <c>label</c> and <c>label!</c>.</summary>
internal sealed class PruneFilter
{
    private readonly Filters _filters;
    private readonly DateTimeOffset _until = DateTimeOffset.MaxValue;

    /// <param name="others">Keys that only this prune knows.</param>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public PruneFilter(Filters filters, TimeProvider time, params ReadOnlySpan<string> others)
    {
        filters.Validate(["until", "label", "label!", .. others]);
        _filters = filters;
        if (filters["until"] is { Count: > 0 } until)
        {
            _until = until.Count == 1
                ? TimeText.Parse(until[0], time)
                : throw new EngineException(ErrorKind.InvalidParameter, "more than one until filter specified");
        }
    }

    /// <summary>Neither age nor labels matter.</summary>
    public bool IncludesAll => !_filters.Has("until") && !_filters.Has("label") && !_filters.Has("label!");

    /// <summary>Whether an object of this age and with these labels is to go.</summary>
    public bool Includes(DateTimeOffset created, IReadOnlyDictionary<string, string>? labels) =>
        created <= _until
        && _filters["label"].All(label => HasLabel(labels, label))
        && !(_filters.Has("label!") && _filters["label!"].All(label => HasLabel(labels, label)));

    /// <summary>A filter that is yes or no.</summary>
    /// <exception cref="EngineException">InvalidParameter: neither, or both.</exception>
    public static bool Flag(Filters filters, string key, bool missing)
    {
        if (!filters.Has(key))
        {
            return missing;
        }

        // What is neither counts as nothing beside what is one of them: the CLI adds its own value to the user's.
        IReadOnlyList<string> values = filters[key];
        bool yes = values.Contains("1") || values.Contains("true");
        bool no = values.Contains("0") || values.Contains("false");
        return yes != no ? yes : throw new EngineException(ErrorKind.InvalidParameter, $"invalid filter '{key}=[{string.Join(' ', values)}]'");
    }

    private static bool HasLabel(IReadOnlyDictionary<string, string>? labels, string filter)
    {
        string[] parts = filter.Split('=', 2);
        return labels is not null && labels.TryGetValue(parts[0], out string? value) && (parts.Length == 1 || value == parts[1]);
    }
}

/// <summary>Lets one prune of a kind run at a time, as Docker does.</summary>
internal sealed class PruneGate
{
    private int _running;

    /// <exception cref="EngineException">Conflict: one is running.</exception>
    public async Task<T> RunAsync<T>(Func<Task<T>> prune)
    {
        if (Interlocked.Exchange(ref _running, 1) == 1)
        {
            throw new EngineException(ErrorKind.Conflict, "a prune operation is already running");
        }

        try
        {
            return await prune();
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }
    }
}
