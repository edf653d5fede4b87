using System.Globalization;
using System.Text.RegularExpressions;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Health;
using Slipway.Engine.Containers.State;
using Slipway.Networking;
using Slipway.Storage.Images;

namespace Slipway.Engine.Containers.Listing;

/// <summary>The filters of <c>docker ps</c>.</summary>
internal sealed class ContainerFilter
{
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(1);

    private readonly Filters _filters;
    private readonly EngineFilters _parsed;

    /// <exception cref="EngineException">A key or value is not known.</exception>
    public ContainerFilter(Filters filters, ContainerIndex index, IImageStore images)
    {
        filters.Validate(
            "ancestor", "before", "exited", "id", "isolation", "label", "name", "status", "health", "since", "volume", "network", "is-task", "publish", "expose");
        _filters = filters;
        HashSet<int> exited = [];
        foreach (string value in filters["exited"])
        {
            exited.Add(int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int code)
                ? code
                : throw ContainerErrors.Invalid($"invalid filter 'exited={value}': strconv.Atoi: parsing \"{value}\": invalid syntax"));
        }

        foreach (string value in filters["status"])
        {
            if (value is not ("created" or "running" or "paused" or "restarting" or "removing" or "exited" or "dead"))
            {
                throw ContainerErrors.Invalid($"invalid filter 'status={value}'");
            }
        }

        foreach (string value in filters["health"])
        {
            if (value is not ("starting" or "healthy" or "unhealthy" or "none"))
            {
                throw ContainerErrors.Invalid($"invalid filter 'health={value}'");
            }
        }

        foreach (string value in filters["is-task"])
        {
            if (value is not ("true" or "false" or "0" or "1"))
            {
                throw ContainerErrors.Invalid($"invalid filter 'is-task={value}'");
            }
        }

        _parsed = new EngineFilters(
            [.. filters["name"].Select(Pattern)],
            exited,
            Ancestors(filters, images),
            Created("before"),
            Created("since"),
            [.. filters["publish"].Select(Port)],
            [.. filters["expose"].Select(Port)]);

        DateTimeOffset? Created(string key) => filters.Has(key) ? filters[key].Max(reference => index.Resolve(reference).Snapshot.Created) : null;
    }

    /// <summary>States or exit codes are asked for: containers that do not run are listed too.</summary>
    public bool NamesStates => _filters.Has("status") || _filters.Has("exited") || _filters.Has("before") || _filters.Has("since");

    public bool Includes(ContainerSnapshot container) => _filters.IsEmpty
        || (Any("id", value => container.Id.StartsWith(value, StringComparison.Ordinal))
        && (_parsed.Names.Count == 0 || _parsed.Names.Any(name => name.IsMatch("/" + container.Name) || name.IsMatch(container.Name)))
        && _filters["label"].All(label => HasLabel(container, label))
        && Any("status", value => container.State.Phase.Word() == value)
        && Any("health", value => value == (container.State.Health?.Status.Word() ?? HealthStatusText.None))
        && Any("is-task", value => value is "false" or "0")
        && (!_filters.Has("exited") || (container.State is { Phase: ContainerPhase.Exited, StartedAt: not null } && _parsed.Exited.Contains(container.State.ExitCode)))
        && (_parsed.Ancestors is null || _parsed.Ancestors.Contains(container.ImageId))
        && (_parsed.Before is not { } before || container.Created < before)
        && (_parsed.Since is not { } since || container.Created > since)
        && Any("volume", value => container.Mounts.Any(mount => mount.VolumeName == value || mount.Destination == value || mount.Source == value))
        && Any("network", value => container.RequestedEndpoints.ContainsKey(value))
        && (_parsed.Publish.Count == 0 || container.State.Attached.All.Any(entry => entry.Value.Ports.Any(port => _parsed.Publish.Contains((port.ContainerPort, port.Protocol)))))
        && (_parsed.Expose.Count == 0 || PortSpecs.Exposed(container.Config).Any(_parsed.Expose.Contains)));

    private bool Any(string key, Func<string, bool> matches) => !_filters.Has(key) || _filters[key].Any(matches);

    private static bool HasLabel(ContainerSnapshot container, string filter)
    {
        string[] parts = filter.Split('=', 2);
        return container.Config.Labels?.TryGetValue(parts[0], out string? value) == true && (parts.Length == 1 || value == parts[1]);
    }

    private static (ushort Port, PortProtocol Protocol) Port(string text)
    {
        try
        {
            return PortSpecs.ParseContainerPort(text);
        }
        catch (EngineException)
        {
            throw ContainerErrors.Invalid($"invalid filter value: invalid port \"{text}\"");
        }
    }

    private static Regex Pattern(string text)
    {
        try
        {
            return new Regex(text, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, MatchTimeout);
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            // A name need not be a pattern.
            return new Regex(Regex.Escape(text), RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, MatchTimeout);
        }
    }

    /// <summary>Ids of the images named, and of those made of them: whose layers begin with theirs.</summary>
    private static HashSet<string>? Ancestors(Filters filters, IImageStore images)
    {
        if (!filters.Has("ancestor"))
        {
            return null;
        }

        HashSet<string> ids = [];
        foreach (Image ancestor in filters["ancestor"].Select(images.Find).OfType<Image>())
        {
            ids.UnionWith(images.All
                .Where(image => image.Id == ancestor.Id || (ancestor.Layers.Count > 0 && image.Layers.Count > ancestor.Layers.Count && image.Layers[ancestor.Layers.Count - 1].ChainId == ancestor.Layers[^1].ChainId))
                .Select(image => image.Id.ToString()));
        }

        return ids;
    }

    private sealed record EngineFilters(
        IReadOnlyList<Regex> Names,
        IReadOnlySet<int> Exited,
        IReadOnlySet<string>? Ancestors,
        DateTimeOffset? Before,
        DateTimeOffset? Since,
        HashSet<(ushort Port, PortProtocol Protocol)> Publish,
        HashSet<(ushort Port, PortProtocol Protocol)> Expose);
}
