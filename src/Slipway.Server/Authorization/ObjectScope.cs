using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Networks;
using Slipway.Api.Secrets;
using Slipway.Api.Volumes;
using Slipway.Engine;
using Slipway.Server.Http;

namespace Slipway.Server.Authorization;

/// <summary>
/// Holds requests to objects with the labels of a policy. Lists get a filter, objects that are created get the labels, and an object that is named is
/// looked up once: what is then executed gets its id, so that a name which passes to another object in between leads nowhere else (a container may be called like
/// the beginning of another's id).
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

    /// <summary>The volume that the route's parameter names; volumes have no id, and what is executed gets this one beside its name.</summary>
    public Volume? Volume { get; private set; }

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
            (string id, string? refusal) = FindContainer(container);
            SetParameter(http.Request, "container", id);
            return (parameter, refusal);
        }

        switch (route.HasParameter ? kind : "")
        {
            case "containers":
                return FindContainer(parameter);
            case "exec":
                ContainerInspect host = engine.Containers.Inspect(engine.Execs.Inspect(parameter).ContainerID, size: false);
                return (parameter, Outside(host.Config.Labels, $"container {host.Id}"));
            case "volumes":
                Volume = engine.Volumes.Inspect(parameter);
                return (parameter, Outside(Volume.Labels, $"volume {parameter}"));
            case "networks":
                return FindNetwork(parameter);
            case "secrets":
                return FindSecret(parameter);
            default:
                return (parameter, $"{verb} concerns objects of all labels");
        }
    }

    /// <summary>Labels what the request creates, and looks at the objects it names.</summary>
    /// <returns>The reason to refuse, or null.</returns>
    public string? Admit(string verb, object? body) => body switch
    {
        // All objects are within such a policy, but options may come with those that are named (PrivilegedOptions.Inherited).
        _ when policy.Labels.Count == 0 => body is ContainerCreateRequest { HostConfig: { } host } ? Shared(host).FirstOrDefault(refusal => refusal is not null) : null,
        ContainerCreateRequest create => Label(create.Labels ??= []) ?? Referenced(create),
        VolumeCreateRequest volume => Label(volume.Labels ??= []) ?? (volume.Name is { Length: > 0 } name ? OutsideVolume(name) : null),
        ContainerUpdateRequest update => Changed(update),
        NetworkCreateRequest network => Label(network.Labels ??= []),
        NetworkConnectRequest connect => Settle(connect.Container, id => connect.Container = id),
        NetworkDisconnectRequest disconnect => Settle(disconnect.Container, id => disconnect.Container = id),
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
            : (update.MountsAdd ?? []).Where(mount => mount is { Type: "volume", Source.Length: > 0 }).Select(mount => SettleVolume(mount.Source!, update.Judged ??= new JudgedObjects()))
                .FirstOrDefault(refusal => refusal is not null);
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
        IEnumerable<string?> containers = Shared(host).Concat(SettleAll(host.Links, (id, name) => $"{id}:{name}"))
            .Concat((host.Requires ?? []).Concat(Labelled(create, "slipway.requires")).Select(reference => FindContainer(reference.Split(':')[0]).Refusal));
        IEnumerable<string> volumes = (host.Binds ?? []).Where(bind => !bind.StartsWith('/') && bind.Contains(':', StringComparison.Ordinal)).Select(bind => bind.Split(':')[0])
            .Concat((host.Mounts ?? []).Where(mount => mount is { Type: "volume", Source.Length: > 0 }).Select(mount => mount.Source!));
        JudgedObjects judged = create.Judged = new JudgedObjects();
        return containers
            .Concat(volumes.Select(name => SettleVolume(name, judged)))
            .Concat((host.Secrets ?? []).Select(secret => secret.Source).Concat(Labelled(create, "slipway.secrets").Select(text => text.Split(':')[0])).Select(name => SettleSecret(name, judged)))
            .Concat(Networks(create.NetworkingConfig, host))
            .FirstOrDefault(refusal => refusal is not null);
    }

    /// <summary>Puts ids in the place of the networks' names.</summary>
    private IEnumerable<string?> Networks(NetworkingConfig? networking, HostConfig host)
    {
        if (IsNamed(host.NetworkMode))
        {
            (host.NetworkMode, string? refusal) = FindNetwork(host.NetworkMode);
            yield return refusal;
        }

        if (networking?.EndpointsConfig is not { } endpoints)
        {
            yield break;
        }

        foreach (string name in endpoints.Keys.Where(IsNamed).ToList())
        {
            (string id, string? refusal) = FindNetwork(name);
            endpoints.Remove(name, out EndpointSettings? settings);
            yield return endpoints.TryAdd(id, settings) ? refusal : $"network {name} is named twice";
        }

        static bool IsNamed(string network) => network is not ("" or "default" or "bridge" or "host" or "none") && PrivilegedOptions.SharedWith(network) is null;
    }

    private static string[] Labelled(ContainerCreateRequest create, string label) =>
        create.Labels?.GetValueOrDefault(label)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    /// <summary>A volume that is to be made: one that exists is not made, but shown.</summary>
    private string? OutsideVolume(string name) => TryInspect(name) is { } volume ? Outside(volume.Labels, $"volume {name}") : null;

    /// <summary>Holds a request to the volume that has a name now. One that does not exist would be made without labels.</summary>
    private string? SettleVolume(string name, JudgedObjects judged)
    {
        if (TryInspect(name) is not { } volume)
        {
            return $"volume {name} does not exist; create it first, and it will have the labels of the policy";
        }

        judged.Volumes[name] = volume.Incarnation;
        return Outside(volume.Labels, $"volume {name}");
    }

    private Volume? TryInspect(string name)
    {
        try
        {
            return engine.Volumes.Inspect(name);
        }
        catch (EngineException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            return null;
        }
    }

    private string? SettleSecret(string reference, JudgedObjects judged)
    {
        (judged.Secrets[reference], string? refusal) = FindSecret(reference);
        return refusal;
    }

    private (string Id, string? Refusal) FindContainer(string reference)
    {
        ContainerInspect found = engine.Containers.Inspect(reference, size: false);
        return (found.Id, Outside(found.Config.Labels, $"container {reference}"));
    }

    /// <summary>Puts the id of a container that is within the policy in the place of its name.</summary>
    /// <returns>The reason to refuse, or null.</returns>
    private string? Settle(string reference, Action<string> set)
    {
        (string id, string? refusal) = FindContainer(reference);
        set(id);
        return refusal;
    }

    /// <summary>The containers whose namespaces and mounts are shared.</summary>
    private IEnumerable<string?> Shared(HostConfig host)
    {
        (string Mode, Action<string> Set)[] modes = [(host.NetworkMode, mode => host.NetworkMode = mode), (host.PidMode, mode => host.PidMode = mode), (host.IpcMode, mode => host.IpcMode = mode)];
        return modes.Select(mode => PrivilegedOptions.SharedWith(mode.Mode) is { } reference ? Settle(reference, id => mode.Set($"container:{id}")) : null)
            .Concat(SettleAll(host.VolumesFrom, (id, _) => id));
    }

    /// <param name="references">What stands behind a colon belongs to the use and not to the name.</param>
    /// <param name="plain">What a name alone becomes, by its id.</param>
    private IEnumerable<string?> SettleAll(List<string>? references, Func<string, string, string> plain) => Enumerable.Range(0, references?.Count ?? 0).Select(i =>
    {
        string[] parts = references![i].Split(':', 2);
        return Settle(parts[0], id => references[i] = parts.Length > 1 ? $"{id}:{parts[1]}" : plain(id, parts[0]));
    });

    private (string Id, string? Refusal) FindNetwork(string reference)
    {
        Network found = engine.Networks.Inspect(reference);
        return (found.Id, Outside(found.Labels, $"network {reference}"));
    }

    private (string Id, string? Refusal) FindSecret(string reference)
    {
        Secret found = engine.Secrets.Inspect(reference);
        return (found.ID, Outside(found.Spec.Labels, $"secret {reference}"));
    }

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
        SetParameter(request, "filters", JsonSerializer.Serialize(filters, EngineJson.Wire.DictionaryStringListString));
    }

    private static void SetParameter(HttpRequest request, string name, string value) => request.QueryString = QueryString.Create(
        new QueryParameters(request.QueryString).Pairs().Where(parameter => parameter.Key != name).Append(KeyValuePair.Create(name, value))
            .Select(parameter => KeyValuePair.Create(parameter.Key, (string?)parameter.Value)));
}
