using System.Text;
using System.Text.Json;

namespace Slipway.Oci.Cdi;

/// <summary>Reads and checks specifications. Who writes them is root on the host; yet what cannot be meant must not become part of a container by chance.</summary>
public static class CdiReader
{
    private static readonly HashSet<string> s_versions = new(StringComparer.Ordinal) { "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0" };

    private static readonly HashSet<string> s_hooks = new(StringComparer.Ordinal) { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };

    /// <param name="isYaml">By the file's name.</param>
    /// <exception cref="FormatException">It is no specification; the message says why.</exception>
    public static CdiDocument Read(ReadOnlySpan<byte> content, bool isYaml)
    {
        try
        {
            byte[] json = isYaml ? Encoding.UTF8.GetBytes(PlainYaml.Parse(new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(content)).ToJsonString()) : content.ToArray();
            CdiDocument document = JsonSerializer.Deserialize(json, CdiJson.Default.CdiDocument) ?? throw new FormatException("it is empty");
            Check(document);
            return document;
        }
        catch (Exception error) when (error is JsonException or DecoderFallbackException)
        {
            throw new FormatException(error.Message, error);
        }
    }

    /// <summary>Splits <c>vendor.com/class=name</c>; false where it is no such name.</summary>
    public static bool TryParseName(string text, out string kind, out string device)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        (kind, device) = equals < 0 ? ("", "") : (text[..equals], text[(equals + 1)..]);
        return IsKind(kind) && IsName(device, "_.:-");
    }

    private static void Check(CdiDocument document)
    {
        Require(s_versions.Contains(document.CdiVersion), $"invalid version \"{document.CdiVersion}\"");
        Require(IsKind(document.Kind), $"invalid kind \"{document.Kind}\"");
        Require(document.Devices.Count > 0, "invalid spec, no devices");
        HashSet<string> names = new(StringComparer.Ordinal);
        Check(document.ContainerEdits);
        foreach (CdiDevice device in document.Devices)
        {
            Require(IsName(device.Name, "_.:-"), $"invalid device name \"{device.Name}\"");
            Require(names.Add(device.Name), $"invalid spec, multiple device \"{device.Name}\"");
            Check(device.ContainerEdits);
        }
    }

    private static void Check(CdiEdits? edits)
    {
        if (edits is null)
        {
            return;
        }

        foreach (string variable in edits.Env ?? [])
        {
            Require(variable.IndexOf('=', StringComparison.Ordinal) > 0 && !variable.Contains('\0', StringComparison.Ordinal), $"invalid environment variable \"{variable}\"");
        }

        foreach (CdiDeviceNode node in edits.DeviceNodes ?? [])
        {
            Require(IsPath(node.Path), $"invalid (empty) device path \"{node.Path}\"");
            Require(node.HostPath.Length == 0 || IsPath(node.HostPath), $"invalid host path \"{node.HostPath}\"");
            Require(node.Type is "" or "b" or "c" or "u" or "p", $"device \"{node.Path}\": invalid type \"{node.Type}\"");
            Require(node.Permissions.All(c => c is 'r' or 'w' or 'm'), $"device \"{node.Path}\": invalid permissions \"{node.Permissions}\"");
            Require(node.Major is >= 0 and < 1 << 12 && node.Minor is >= 0 and < 1 << 20, $"device \"{node.Path}\": invalid number {node.Major}:{node.Minor}");
        }

        foreach (CdiMount mount in edits.Mounts ?? [])
        {
            Require(mount.HostPath.Length > 0 && !mount.HostPath.Contains('\0', StringComparison.Ordinal), "invalid mount, empty host path");
            Require(IsPath(mount.ContainerPath), $"invalid mount, container path \"{mount.ContainerPath}\"");
        }

        foreach (CdiHook hook in edits.Hooks ?? [])
        {
            Require(s_hooks.Contains(hook.HookName), $"invalid hook name \"{hook.HookName}\"");
            Require(IsPath(hook.Path), $"invalid hook \"{hook.HookName}\" with path \"{hook.Path}\"");
        }

        Require(edits.IntelRdt is null, "intelRdt is not supported");
    }

    private static bool IsKind(string kind)
    {
        string[] parts = kind.Split('/');
        return parts is [var vendor, var @class] && IsName(vendor, "_.-") && char.IsAsciiLetter(vendor[0]) && IsName(@class, "_-") && char.IsAsciiLetter(@class[0]);
    }

    /// <summary>Letters and digits, at the ends too, and some marks between.</summary>
    private static bool IsName(string name, string marks) =>
        name.Length is > 0 and <= 253 && char.IsAsciiLetterOrDigit(name[0]) && char.IsAsciiLetterOrDigit(name[^1]) && name.All(c => char.IsAsciiLetterOrDigit(c) || marks.Contains(c, StringComparison.Ordinal));

    private static bool IsPath(string path) => path.Length > 1 && path[0] == '/' && !path.Contains('\0', StringComparison.Ordinal);

    private static void Require(bool condition, string problem)
    {
        if (!condition)
        {
            throw new FormatException(problem);
        }
    }
}
