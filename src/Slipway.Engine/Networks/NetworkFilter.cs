using Slipway.Api.Networks;

namespace Slipway.Engine.Networks;

/// <summary>The filters of <c>docker network ls</c>.</summary>
internal sealed class NetworkFilter
{
    private readonly Filters _filters;
    private readonly bool? _dangling;
    private readonly Func<string, bool> _isUsed;

    /// <param name="isUsed">Whether containers, stopped ones too, have a network of that name.</param>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public NetworkFilter(Filters filters, Func<string, bool> isUsed)
    {
        filters.Validate("dangling", "driver", "id", "label", "name", "scope", "type");
        _dangling = filters.Has("dangling") ? PruneFilter.Flag(filters, "dangling", missing: false) : null;
        if (filters["type"].FirstOrDefault(type => type is not ("custom" or "builtin")) is { } unknown)
        {
            throw NetworkErrors.Invalid($"invalid filter: 'type'='{unknown}'");
        }

        (_filters, _isUsed) = (filters, isUsed);
    }

    public bool Includes(Network network) =>
        Any("driver", value => network.Driver == value)
        && Any("id", value => network.Id.StartsWith(value, StringComparison.Ordinal))
        && Any("name", value => network.Name.Contains(value, StringComparison.Ordinal))
        && Any("scope", value => network.Scope == value)
        && Any("type", value => value == "builtin" == IsPredefined(network))
        && _filters["label"].All(label => HasLabel(network, label))
        && (_dangling is not { } dangling || (!IsPredefined(network) && dangling != _isUsed(network.Name)));

    private static bool IsPredefined(Network network) => network.Name is "bridge" or "host" or "none";

    private static bool HasLabel(Network network, string filter)
    {
        string[] parts = filter.Split('=', 2);
        return network.Labels!.TryGetValue(parts[0], out string? value) && (parts.Length == 1 || value == parts[1]);
    }

    private bool Any(string key, Func<string, bool> matches) => !_filters.Has(key) || _filters[key].Any(matches);
}
