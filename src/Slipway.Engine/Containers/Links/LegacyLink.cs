using System.Globalization;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Links;

/// <summary>One <c>--link CONTAINER:ALIAS</c> on the default network.</summary>
/// <param name="Container">A name or id in a request; an id once the container is created.</param>
internal readonly record struct LegacyLink(string Container, string Alias)
{
    /// <exception cref="EngineException">InvalidParameter, in Docker's words.</exception>
    public static LegacyLink Parse(string text)
    {
        if (text.Length == 0)
        {
            throw ContainerErrors.Invalid("empty string specified for links");
        }

        string[] parts = text.Split(':');
        return parts switch
        {
            [var name] => new LegacyLink(name, name.TrimStart('/')),

            // As inspect shows it, which clients send back: /child:/parent/alias.
            [var name, var alias] => new LegacyLink(name, alias.StartsWith('/') ? alias[(alias.LastIndexOf('/') + 1)..] : alias),
            _ => throw ContainerErrors.Invalid($"bad format for links: {text}"),
        };
    }

    public override string ToString() => $"{Container}:{Alias}";
}

/// <summary>A link to a container that runs.</summary>
/// <param name="Parent">Name of the container that has the link.</param>
internal sealed record ResolvedLink(string Parent, string Alias, ContainerSnapshot Child, string Address)
{
    /// <summary>The names the linked container has in /etc/hosts, the alias first.</summary>
    public string HostNames => Alias == Child.Name ? $"{Alias} {Child.Config.Hostname}" : $"{Alias} {Child.Config.Hostname} {Child.Name}";

    /// <summary>The variables of a legacy link: name, exposed ports (consecutive ones also as ranges) and the linked container's own variables.</summary>
    public IEnumerable<string> Environment()
    {
        string prefix = Alias.ToUpperInvariant().Replace('-', '_');
        List<(string Protocol, int Port)> ports = [.. (Child.Config.ExposedPorts?.Keys ?? Enumerable.Empty<string>())
            .Select(Split)
            .OrderBy(port => port.Protocol == "tcp" ? "" : port.Protocol, StringComparer.Ordinal)
            .ThenBy(port => port.Port)];
        if (ports.Count > 0)
        {
            yield return $"{prefix}_PORT={Url(ports[0])}";
        }

        for (int i = 0, first = 0; i < ports.Count; i++)
        {
            string name = Name(ports[i]);
            yield return $"{name}={Url(ports[i])}";
            yield return $"{name}_ADDR={Address}";
            yield return string.Create(CultureInfo.InvariantCulture, $"{name}_PORT={ports[i].Port}");
            yield return $"{name}_PROTO={ports[i].Protocol}";
            if (i + 1 < ports.Count && ports[i + 1] == (ports[i].Protocol, ports[i].Port + 1))
            {
                continue;
            }

            if (first < i)
            {
                string range = Name(ports[first]);
                yield return $"{range}_START={Url(ports[first])}";
                yield return string.Create(CultureInfo.InvariantCulture, $"{range}_PORT_START={ports[first].Port}");
                yield return $"{range}_END={Url(ports[i])}";
                yield return string.Create(CultureInfo.InvariantCulture, $"{range}_PORT_END={ports[i].Port}");
            }

            first = i + 1;
        }

        yield return $"{prefix}_NAME=/{Parent}/{Alias}";
        foreach (string entry in Child.Config.Env ?? [])
        {
            if (entry.Contains('=', StringComparison.Ordinal) && !entry.StartsWith("HOME=", StringComparison.Ordinal) && !entry.StartsWith("PATH=", StringComparison.Ordinal))
            {
                yield return $"{prefix}_ENV_{entry}";
            }
        }

        string Name((string Protocol, int Port) port) => string.Create(CultureInfo.InvariantCulture, $"{prefix}_PORT_{port.Port}_{port.Protocol.ToUpperInvariant()}");
        string Url((string Protocol, int Port) port) => string.Create(CultureInfo.InvariantCulture, $"{port.Protocol}://{Address}:{port.Port}");
        static (string Protocol, int Port) Split(string exposed) =>
            exposed.Split('/') is [var number, var protocol] ? (protocol, int.Parse(number, CultureInfo.InvariantCulture)) : ("tcp", int.Parse(exposed, CultureInfo.InvariantCulture));
    }
}
