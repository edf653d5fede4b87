using System.Globalization;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Events;

namespace Slipway.Engine.Containers;

/// <summary>Events of containers, with the attributes Docker gives them: the labels, the image and the name.</summary>
internal sealed class ContainerEvents(EventLog log)
{
    public void Publish(ContainerSnapshot container, string action, params ReadOnlySpan<(string Key, string Value)> details)
    {
        if (container.IsWarmUp)
        {
            return;
        }

        Dictionary<string, string> attributes = container.Config.Labels is { } labels ? new(labels) : [];
        foreach ((string key, string value) in details)
        {
            attributes[key] = value;
        }

        attributes["image"] = container.Config.Image;
        attributes["name"] = container.Name;
        log.Publish("container", action, container.Id, attributes);
    }

    public void Died(ContainerSnapshot container, int exitCode, TimeSpan ran) => Publish(
        container,
        "die",
        ("exitCode", exitCode.ToString(CultureInfo.InvariantCulture)),
        ("execDuration", ((long)ran.TotalSeconds).ToString(CultureInfo.InvariantCulture)));

    public void Killed(ContainerSnapshot container, int signal) =>
        Publish(container, "kill", ("signal", signal.ToString(CultureInfo.InvariantCulture)));

    /// <param name="action">connect, disconnect.</param>
    public void Network(ContainerSnapshot container, string action, string networkId, string networkName, string driver)
    {
        if (!container.IsWarmUp)
        {
            log.Publish("network", action, networkId, new Dictionary<string, string> { ["container"] = container.Id, ["name"] = networkName, ["type"] = driver });
        }
    }
}
