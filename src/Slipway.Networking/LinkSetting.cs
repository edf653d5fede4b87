using System.Diagnostics.CodeAnalysis;

namespace Slipway.Networking;

/// <summary>A kernel setting of one link of a container, and its value: <c>net.&lt;ipv4, ipv6 or mpls&gt;.&lt;group&gt;.IFNAME.&lt;setting&gt;</c>.</summary>
public sealed record LinkSetting
{
    private LinkSetting(string protocol, string group, string setting, string value) => (Protocol, Group, Setting, Value) = (protocol, group, setting, value);

    public string Protocol { get; }

    public string Group { get; }

    public string Setting { get; }

    public string Value { get; }

    /// <summary>Reads <c>net.ipv4.conf.IFNAME.log_martians=1</c>. No part of it leads out of the link's own directory.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out LinkSetting? setting)
    {
        setting = null;
        if (text.Split('=', 2) is not [string name, string value]
            || name.Split('.', 5) is not ["net", "ipv4" or "ipv6" or "mpls", string group, "IFNAME" or "ifname", string last]
            || !IsWord(group) || !IsWord(last))
        {
            return false;
        }

        setting = new LinkSetting(name.Split('.')[1], group, last, value);
        return true;
    }

    public override string ToString() => $"net.{Protocol}.{Group}.IFNAME.{Setting}={Value}";

    /// <summary>Writes the value, with the calling thread in the link's namespace.</summary>
    /// <exception cref="NetworkException">InvalidParameter: there is no such setting, or the kernel refuses the value.</exception>
    internal void Apply(string link)
    {
        string path = $"/proc/sys/net/{Protocol}/{Group}/{link}/{Setting}";
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            file.Write(System.Text.Encoding.ASCII.GetBytes(Value));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"failed to set {this} for {link}: {error.Message}", error);
        }
    }

    private static bool IsWord(string text) => text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');
}
