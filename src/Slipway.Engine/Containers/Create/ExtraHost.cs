namespace Slipway.Engine.Containers.Create;

/// <summary>An entry of <c>--add-host</c>: <c>name:address</c>, where the address may be <c>host-gateway</c>.</summary>
internal readonly record struct ExtraHost(string Name, string Address)
{
    public const string Gateway = "host-gateway";

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static ExtraHost Parse(string text)
    {
        int separator = text.IndexOf(':', StringComparison.Ordinal);
        if (separator < 1)
        {
            throw ContainerErrors.Invalid($"bad format for add-host: \"{text}\"");
        }

        string name = text[..separator];
        string address = text[(separator + 1)..].Trim('[', ']');
        if (address != Gateway && !System.Net.IPAddress.TryParse(address, out _))
        {
            throw ContainerErrors.Invalid($"invalid IP address in add-host: \"{address}\"");
        }

        // The entry becomes a line of /etc/hosts.
        return name.AsSpan().ContainsAny(" \t\r\n") ? throw ContainerErrors.Invalid($"bad format for add-host: \"{text}\"") : new ExtraHost(name, address);
    }
}
