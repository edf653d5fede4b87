using Slipway.Api.Containers;
using Slipway.Networking;

namespace Slipway.Engine.Networks;

/// <summary>What a container asks of its link to one network (<c>--network name=…,driver-opt=…</c>).</summary>
/// <param name="LinkName">Of the link inside; null where it is chosen.</param>
internal sealed record EndpointOptions(string? LinkName, IReadOnlyList<LinkSetting> Settings)
{
    private const string LinkNameOption = "com.docker.network.endpoint.ifname";
    private const string SettingsOption = "com.docker.network.endpoint.sysctls";

    /// <param name="errors">What is wrong is added here; it is left out of what is returned.</param>
    public static EndpointOptions Parse(EndpointSettings? settings, List<string> errors)
    {
        Dictionary<string, string> options = settings?.DriverOpts ?? [];
        string? name = options.GetValueOrDefault(LinkNameOption) is { Length: > 0 } given ? given : null;
        if (name is not null && (name.Length > 15 || name is "lo" or "all" or "default" or "." or ".." || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')))
        {
            errors.Add($"invalid interface name {name}: at most 15 letters, digits, dashes, dots and underscores");
            name = null;
        }

        List<LinkSetting> parsed = [];
        foreach (string text in (options.GetValueOrDefault(SettingsOption) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (LinkSetting.TryParse(text, out LinkSetting? setting))
            {
                parsed.Add(setting);
            }
            else
            {
                errors.Add($"unrecognised network interface sysctl '{text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'");
            }
        }

        return new EndpointOptions(name, parsed);
    }
}
