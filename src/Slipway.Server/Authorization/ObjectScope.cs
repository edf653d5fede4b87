using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Networks;
using Slipway.Api.Secrets;
using Slipway.Api.Volumes;
using Slipway.Engine;
using Slipway.Server.Http;

namespace Slipway.Server.Authorization;

/// <summary>
/// Holds requests to objects with the labels of a policy. Lists get a filter, objects that are created get the labels, and an object that is named is
/// looked up once: what is then executed gets its id, so that a name which passes to another object in between leads nowhere else.
/// </summary>
internal sealed class ObjectScope(IEngine engine, SocketPolicy policy)
{
    /// <summary>Operations on all objects of a kind whose answer can be held to labels by a filter.</summary>
    private static readonly HashSet<string> s_filtered = new(StringComparer.Ordinal)
    {
        "containers.list", "containers.prune", "volumes.list", "volumes.prune", "networks.list", "networks.prune", "secrets.list", "system.events",
    };

    /// <summary>Operations that create an object, which gets the labels with its request's body.</summary>
    private static readonly HashSet<string> s_creating = new(StringComparer.Ordinal) { "containers.create", "volumes.create", "networks.create", "secrets.create" };

    /// <summary>Kinds of objects that belong to nobody.</summary>
    private static readonly HashSet<string> s_common = new(StringComparer.Ordinal) { "images", "distribution", "build", "plugins", "swarm", "nodes", "services", "tasks", "configs" };

    /// <returns>What stands for the route's parameter from now on, or the reason to refuse.</returns>
    public (string Parameter, string? Refusal) Enter(HttpContext http, Route route, string parameter)
    {
        string verb = route.Verb;
        string kind = route.Path.Split('/', StringSplitOptions.RemoveEmptyEntries).First(word => word != "slipway");
        if (s_creating.Contains(verb) || s_common.Contains(kind) || Verbs.IsAlwaysAllowed(verb) || verb is "system.info" or "system.auth")
        {
            return (parameter, null);
        }

        if (s_filtered.Contains(verb))
        {
            AddFilter(http.Request);
            return (parameter, null);
        }

        if (verb == "containers.commit")
        {
            string container = new QueryParameters(http.Request.QueryString)["container"];
            return (parameter, Outside(engine.Containers.Inspect(container, size: false).Config.Labels, $"container {container}"));
        }

        switch (route.HasParameter ? kind : "")
        {
            case "containers":
                ContainerInspect named = engine.Containers.Inspect(parameter, size: false);
                return (named.Id, Outside(named.Config.Labels, $"container {parameter}"));
            case "exec":
                ContainerInspect host = engine.Containers.Inspect(engine.Execs.Inspect(parameter).ContainerID, size: false);
                return (parameter, Outside(host.Config.Labels, $"container {host.Id}"));
            case "volumes":
                return (parameter, Outside(engine.Volumes.Inspect(parameter).Labels, $"volume {parameter}"));
            case "networks":
                return (parameter, OutsideNetwork(parameter));
            case "secrets":
                return (parameter, OutsideSecret(parameter));
            default:
                return (parameter, $"{verb} concerns objects of all labels");
        }
    }

    /// <summary>Labels what the request creates, and looks at the objects it names.</summary>
    /// <returns>The reason to refuse, or null.</returns>
    public string? Admit(string verb, object? body) => body switch
    {
        ContainerCreateRequest create => Label(create.Labels ??= []) ?? Referenced(create),
        VolumeCreateRequest volume => Label(volume.Labels ??= []) ?? (volume.Name is { Length: > 0 } name ? OutsideVolume(name, mayBeMade: true) : null),
        ContainerUpdateRequest update => Changed(update),
        NetworkCreateRequest network => Label(network.Labels ??= []),
        NetworkConnectRequest connect => OutsideContainer(connect.Container),
        NetworkDisconnectRequest disconnect => OutsideContainer(disconnect.Container),
        VolumeCopyRequest copy => Label(copy.Labels ??= []),
        SecretSpec secret => Label(secret.Labels ??= []),
        null when s_creating.Contains(verb) || verb == "volumes.copy" => "without a body what is created could not be given labels",
        _ => null,
    };

    /// <summary>An update keeps the labels of the policy, and brings in no volume without them.</summary>
    private string? Changed(ContainerUpdateRequest update)
    {
        string? label = policy.Labels.Keys.FirstOrDefault(key => update.LabelsRemove?.Contains(key) == true || update.Labels?.ContainsKey(key) == true);
        return label is not null
            ? $"label {label} is the policy's"
            : (update.MountsAdd ?? []).Where(mount => mount is { Type: "volume", Source.Length: > 0 }).Select(mount => OutsideVolume(mount.Source!, mayBeMade: false)).FirstOrDefault(refusal => refusal is not null);
    }

    private string? Label(Dictionary<string, string> labels)
    {
        foreach ((string key, string value) in policy.Labels)
        {
            if (labels.TryGetValue(key, out string? other) && other != value)
            {
                return $"label {key} must be \"{value}\"";
            }

            labels[key] = value;
        }

        return null;
    }

    private string? Referenced(ContainerCreateRequest create)
    {
        HostConfig host = create.HostConfig ?? new HostConfig();
        IEnumerable<string> containers = ((string?[])[PrivilegedOptions.SharedWith(host.NetworkMode), PrivilegedOptions.SharedWith(host.PidMode), PrivilegedOptions.SharedWith(host.IpcMode)])
            .OfType<string>()
            .Concat((host.VolumesFrom ?? []).Concat(host.Links ?? []).Concat(host.Requires ?? []).Concat(Labelled(create, "slipway.requires")).Select(reference => reference.Split(':')[0]));
        IEnumerable<string> volumes = (host.Binds ?? []).Where(bind => !bind.StartsWith('/') && bind.Contains(':', StringComparison.Ordinal)).Select(bind => bind.Split(':')[0])
            .Concat((host.Mounts ?? []).Where(mount => mount is { Type: "volume", Source.Length: > 0 }).Select(mount => mount.Source!));
        IEnumerable<string> networks = (create.NetworkingConfig?.EndpointsConfig?.Keys ?? Enumerable.Empty<string>()).Append(host.NetworkMode)
            .Where(network => network is not ("" or "default" or "bridge" or "host" or "none") && PrivilegedOptions.SharedWith(network) is null);
        return containers.Select(OutsideContainer)
            .Concat(volumes.Select(name => OutsideVolume(name, mayBeMade: false)))
            .Concat((host.Secrets ?? []).Select(secret => secret.Source).Concat(Labelled(create, "slipway.secrets").Select(text => text.Split(':')[0])).Select(OutsideSecret))
            .Concat(networks.Select(OutsideNetwork))
            .FirstOrDefault(refusal => refusal is not null);
    }

    private static string[] Labelled(ContainerCreateRequest create, string label) =>
        create.Labels?.GetValueOrDefault(label)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    /// <param name="mayBeMade">A volume that does not exist will be made with the labels; otherwise it would be made without.</param>
    private string? OutsideVolume(string name, bool mayBeMade)
    {
        try
        {
            return Outside(engine.Volumes.Inspect(name).Labels, $"volume {name}");
        }
        catch (EngineException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            return mayBeMade ? null : $"volume {name} does not exist; create it first, and it will have the labels of the policy";
        }
    }

    private string? OutsideContainer(string reference) => Outside(engine.Containers.Inspect(reference, size: false).Config.Labels, $"container {reference}");

    private string? OutsideNetwork(string reference) => Outside(engine.Networks.Inspect(reference).Labels, $"network {reference}");

    private string? OutsideSecret(string reference) => Outside(engine.Secrets.Inspect(reference).Spec.Labels, $"secret {reference}");

    private string? Outside(IReadOnlyDictionary<string, string>? labels, string what) =>
        policy.Includes(labels) ? null : $"{what} does not have the labels of the policy";

    private void AddFilter(HttpRequest request)
    {
        QueryParameters query = new(request.QueryString);
        Filters given = query.Filters();
        Dictionary<string, List<string>> filters = given.Values.ToDictionary(filter => filter.Key, filter => filter.Value.ToList());
        if (!filters.TryGetValue("label", out List<string>? labels))
        {
            filters["label"] = labels = [];
        }

        labels.AddRange(policy.Labels.Select(label => $"{label.Key}={label.Value}"));
        IEnumerable<KeyValuePair<string, string?>> others = query.Pairs().Where(parameter => parameter.Key != "filters").Select(parameter => KeyValuePair.Create(parameter.Key, (string?)parameter.Value));
        request.QueryString = QueryString.Create(others.Append(KeyValuePair.Create("filters", (string?)JsonSerializer.Serialize(filters, EngineJson.Wire.DictionaryStringListString))));
    }
}
