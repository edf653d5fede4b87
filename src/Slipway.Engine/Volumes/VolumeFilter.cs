using System.Text.RegularExpressions;

namespace Slipway.Engine.Volumes;

/// <summary>The filters of GET /volumes.</summary>
internal sealed class VolumeFilter
{
    private readonly Filters _filters;
    private readonly bool? _dangling;

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public VolumeFilter(Filters filters)
    {
        filters.Validate("name", "label", "driver", "dangling");
        _filters = filters;
        _dangling = filters.Has("dangling") ? PruneFilter.Flag(filters, "dangling", missing: false) : null;
    }

    public bool Includes(VolumeEntry volume) =>
        volume.Document is { } document
        && (_dangling is null || _dangling == (volume.Users.Count == 0))
        && (!_filters.Has("name") || _filters["name"].Any(name => Matches(volume.Name, name)))
        && (!_filters.Has("driver") || _filters["driver"].Contains(document.Driver))
        && _filters["label"].All(label => HasLabel(document.Labels, label));

    /// <summary>As Docker: a part of the name, or an expression; bounded, since a client wrote it.</summary>
    private static bool Matches(string name, string pattern)
    {
        if (name.Contains(pattern, StringComparison.Ordinal))
        {
            return true;
        }

        try
        {
            return Regex.IsMatch(name, pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }

    private static bool HasLabel(IReadOnlyDictionary<string, string>? labels, string filter)
    {
        string[] parts = filter.Split('=', 2);
        return labels is not null && labels.TryGetValue(parts[0], out string? value) && (parts.Length == 1 || value == parts[1]);
    }
}
