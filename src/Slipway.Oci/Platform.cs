using System.Runtime.InteropServices;
using System.Text.Json.Serialization;

namespace Slipway.Oci;

/// <summary>What an image runs on (image-spec, image-index.md, "platform"). Architectures have GOARCH names.</summary>
public sealed record Platform
{
    [JsonPropertyName("architecture")]
    public string Architecture { get; init; } = "";

    [JsonPropertyName("os")]
    public string Os { get; init; } = "";

    [JsonPropertyName("os.version")]
    public string? OsVersion { get; init; }

    [JsonPropertyName("os.features")]
    public IReadOnlyList<string>? OsFeatures { get; init; }

    [JsonPropertyName("variant")]
    public string? Variant { get; init; }

    /// <summary>The platform this process runs on.</summary>
    [JsonIgnore]
    public static Platform Host { get; } = new()
    {
        Os = "linux",
        Architecture = RuntimeInformation.OSArchitecture switch
        {
            System.Runtime.InteropServices.Architecture.X64 => "amd64",
            System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
            var other => other.ToString().ToLowerInvariant(),
        },
        Variant = RuntimeInformation.OSArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "v8" : null,
    };

    /// <summary>Reads <c>os[/arch[/variant]]</c>; an architecture alone means linux.</summary>
    /// <exception cref="OciException">The text is no platform.</exception>
    public static Platform Parse(string text)
    {
        var parts = text.Split('/');
        if (parts.Length > 3 || parts.Any(part => part.Length == 0 || !part.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-')))
        {
            throw new OciException($"\"{text}\" is an invalid platform: it must be os[/arch[/variant]]");
        }

        return parts switch
        {
            [var os] when os is "linux" or "windows" or "darwin" or "freebsd" => new Platform { Os = os, Architecture = Host.Architecture, Variant = Host.Variant }.Normalize(),
            [var architecture] => new Platform { Os = "linux", Architecture = architecture }.Normalize(),
            [var os, var architecture] => new Platform { Os = os, Architecture = architecture }.Normalize(),
            [var os, var architecture, var variant] => new Platform { Os = os, Architecture = architecture, Variant = variant }.Normalize(),
            _ => throw new OciException($"\"{text}\" is an invalid platform: it must be os[/arch[/variant]]"),
        };
    }

    /// <summary>The same platform by its common names: x86_64 is amd64, arm64 is arm64/v8 without the variant, arm is arm/v7.</summary>
    public Platform Normalize()
    {
        var os = Os.ToLowerInvariant();
        var (architecture, variant) = (Architecture.ToLowerInvariant(), Variant?.ToLowerInvariant()) switch
        {
            ("x86_64" or "x86-64" or "amd64", "v1" or null or "") => ("amd64", (string?)null),
            ("x86_64" or "x86-64" or "amd64", var v) => ("amd64", v),
            ("i386" or "i486" or "i586" or "i686", _) => ("386", null),
            ("aarch64" or "arm64", "8" or "v8" or null or "") => ("arm64", null),
            ("aarch64" or "arm64", var v) => ("arm64", v),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", null or "" or "7") => ("arm", "v7"),
            ("arm", "5" or "6" or "8") => ("arm", "v" + Variant),
            (var a, "") => (a, null),
            var other => other,
        };
        return this with { Os = os, Architecture = architecture, Variant = variant };
    }

    /// <summary>Whether an image of this platform runs on <paramref name="host"/>.</summary>
    public bool RunsOn(Platform host)
    {
        var (image, machine) = (Normalize(), host.Normalize());
        return image.Os == machine.Os && image.Architecture == machine.Architecture && (image.Variant is null || image.Variant == machine.Variant);
    }

    /// <summary><c>os/arch[/variant]</c>.</summary>
    public override string ToString() => Variant is { Length: > 0 } variant ? $"{Os}/{Architecture}/{variant}" : $"{Os}/{Architecture}";
}
