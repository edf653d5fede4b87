using System.Text;

namespace Slipway.Build.Packages;

/// <summary>A package that an image has, as its package manager knows it.</summary>
/// <param name="Type">Of a package URL (github.com/package-url/purl-spec): <c>deb</c>, <c>apk</c>, <c>nuget</c>, <c>npm</c>.</param>
/// <param name="Namespace">The distribution or the scope; empty: it has none.</param>
/// <param name="Architecture">Null: the manager knows none.</param>
/// <param name="License">As the manager has it; null: it says none.</param>
public sealed record Package(string Type, string Namespace, string Name, string Version, string? Architecture = null, string? License = null)
{
    /// <summary><c>pkg:deb/debian/bash@5.2?arch=amd64</c>.</summary>
    public string Url
    {
        get
        {
            StringBuilder url = new($"pkg:{Type}/");
            if (Namespace.Length > 0)
            {
                url.Append(Encoded(Namespace)).Append('/');
            }

            url.Append(Encoded(Name));
            if (Version.Length > 0)
            {
                url.Append('@').Append(Encoded(Version));
            }

            return (Architecture is null ? url : url.Append("?arch=").Append(Encoded(Architecture))).ToString();
        }
    }

    private static string Encoded(string text) => Uri.EscapeDataString(text);
}
