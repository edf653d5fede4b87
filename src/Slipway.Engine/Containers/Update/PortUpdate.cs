using System.Globalization;
using System.Net;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Networking;

namespace Slipway.Engine.Containers.Update;

/// <summary>Which ports an update publishes besides, and which no more.</summary>
internal sealed class PortUpdate
{
    private readonly List<Removal> _removed = [];
    private readonly Dictionary<string, List<PortBinding>?> _added;

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public PortUpdate(ContainerUpdateRequest change)
    {
        _added = change.PublishAdd ?? [];
        Added = PortSpecs.Requests(new ContainerConfig(), new HostConfig { PortBindings = _added });
        foreach (string text in change.PublishRemove ?? [])
        {
            string[] parts = text.Split(':');
            (ushort port, PortProtocol protocol) = PortSpecs.ParseContainerPort(parts[^1]);
            ushort hostPort = parts.Length == 2 ? PortSpecs.ParseHostPort(parts[0]).First : (ushort)0;
            _removed.Add(parts.Length <= 2 ? new Removal(text, port, protocol, hostPort) : throw ContainerErrors.Invalid($"invalid port specification: \"{text}\""));
        }
    }

    public bool IsEmpty => _added.Count + _removed.Count == 0;

    /// <summary>For the network driver.</summary>
    public IReadOnlyList<PortRequest> Added { get; }

    public bool Removes(PublishedPort port) => _removed.Exists(removal =>
        removal.Port == port.ContainerPort && removal.Protocol == port.Protocol && (removal.HostPort == 0 || removal.HostPort == port.HostPort));

    /// <summary>What the container's record says afterwards; what it is given is not changed.</summary>
    /// <exception cref="EngineException">InvalidParameter: a port that goes is not published, or the container has no network to publish ports on.</exception>
    public ContainerSnapshot Merge(ContainerSnapshot container)
    {
        string mode = container.HostConfig.NetworkMode;
        if (mode is NamespaceModes.Host or NamespaceModes.None || NamespaceModes.SharedWith(mode) is not null)
        {
            throw ContainerErrors.Invalid($"a container with network mode {mode} publishes no ports");
        }

        Dictionary<string, List<PortBinding>?> bindings = (container.HostConfig.PortBindings ?? []).ToDictionary(entry => PortKey(entry.Key), entry => entry.Value?.ToList());
        foreach (Removal removal in _removed)
        {
            string key = PortSpecs.Key(removal.Port, removal.Protocol);
            string hostPort = removal.HostPort.ToString(CultureInfo.InvariantCulture);
            if (!bindings.TryGetValue(key, out List<PortBinding>? list) || list is null || list.RemoveAll(binding => removal.HostPort == 0 || binding.HostPort == hostPort) == 0)
            {
                throw ContainerErrors.Invalid($"port {removal.Text} is not published");
            }

            if (list.Count == 0)
            {
                bindings.Remove(key);
            }
        }

        Dictionary<string, EmptyObject> exposed = new(container.Config.ExposedPorts ?? []);
        foreach ((string key, List<PortBinding>? added) in _added)
        {
            string normal = PortKey(key);
            bindings[normal] = [.. bindings.GetValueOrDefault(normal) ?? [], .. added ?? []];
            exposed[normal] = new EmptyObject();
        }

        return container with { HostConfig = container.HostConfig with { PortBindings = bindings }, Config = container.Config with { ExposedPorts = exposed } };
    }

    /// <summary>What to ask for to have published ports again just as they were.</summary>
    public static IReadOnlyList<PortRequest> Again(IEnumerable<PublishedPort> ports) =>
        [.. ports.Select(port => new PortRequest(port.Protocol, port.ContainerPort, port.HostAddress, port.HostPort))];

    private static string PortKey(string text)
    {
        (ushort port, PortProtocol protocol) = PortSpecs.ParseContainerPort(text);
        return PortSpecs.Key(port, protocol);
    }

    /// <param name="HostPort">0: whatever it is published as.</param>
    private sealed record Removal(string Text, ushort Port, PortProtocol Protocol, ushort HostPort);
}
