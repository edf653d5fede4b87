using Slipway.Api.Events;

namespace Slipway.Engine.Events;

/// <summary>
/// Which events a subscriber sees. As in Docker, keys it does not know are passed over, and the keys named after objects
/// compare with the actor's id or name whatever the event's type is.
/// </summary>
internal sealed class EventFilter(Filters filters)
{
    /// <summary>Actions that carry a detail after a colon (<c>exec_create: sh -c ls</c>) match without it too.</summary>
    private static readonly string[] s_detailedActions = ["exec_create", "exec_start", "health_status"];

    private static readonly string[] s_objectKeys = ["container", "daemon", "network", "plugin", "volume"];

    public bool Includes(EventMessage message) =>
        filters.IsEmpty
        || (IncludesAction(message.Action)
            && IsOneOf("type", message.Type)
            && IsOneOf("scope", message.Scope)
            && s_objectKeys.All(key => IncludesActor(key, message.Actor))
            && IncludesImage(message)
            && IncludesLabels(message.Actor.Attributes));

    private bool IncludesAction(string action)
    {
        if (IsOneOf("event", action))
        {
            return true;
        }

        int colon = action.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && s_detailedActions.Contains(action[..colon]) && IsOneOf("event", action[..colon]);
    }

    private bool IncludesActor(string key, EventActor actor) =>
        !filters.Has(key)
        || filters[key].Any(value => actor.ID.StartsWith(value, StringComparison.Ordinal) || NameOf(actor).StartsWith(value, StringComparison.Ordinal));

    private bool IncludesImage(EventMessage message)
    {
        if (!filters.Has("image"))
        {
            return true;
        }

        string id = message.Actor.ID;
        string name = message.Type == "image" ? NameOf(message.Actor) : message.Actor.Attributes.GetValueOrDefault("image", "");
        return filters["image"].Any(value => value == id || value == name || value == WithoutTag(id) || value == WithoutTag(name));
    }

    /// <summary>All labels asked for must be there, unlike the values of other keys.</summary>
    private bool IncludesLabels(Dictionary<string, string> attributes) => filters["label"].All(label =>
    {
        int equals = label.IndexOf('=', StringComparison.Ordinal);
        return attributes.TryGetValue(equals < 0 ? label : label[..equals], out string? value) && (equals < 0 || value == label[(equals + 1)..]);
    });

    private bool IsOneOf(string key, string value) => !filters.Has(key) || filters[key].Contains(value);

    private static string NameOf(EventActor actor) => actor.Attributes.GetValueOrDefault("name", "");

    /// <summary><c>alpine:3.20</c> and <c>alpine@sha256:…</c> are <c>alpine</c>; a colon before a slash belongs to a port.</summary>
    private static string WithoutTag(string name)
    {
        int at = name.IndexOf('@', StringComparison.Ordinal);
        string plain = at < 0 ? name : name[..at];
        int colon = plain.LastIndexOf(':');
        return colon > plain.LastIndexOf('/') ? plain[..colon] : plain;
    }
}
