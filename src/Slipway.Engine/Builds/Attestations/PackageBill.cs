using System.Globalization;
using System.Text.Json;
using Slipway.Build.Packages;
using Slipway.Engine.Daemon;
using Slipway.Oci;

namespace Slipway.Engine.Builds.Attestations;

/// <summary>A bill of materials (SPDX 2.3, spdx.github.io/spdx-spec/v2.3).</summary>
internal static class PackageBill
{
    public const string PredicateType = "https://spdx.dev/Document";

    private const string Unknown = "NOASSERTION";
    private const string RootId = "SPDXRef-DocumentRoot";

    /// <param name="subject">The manifest of the image that it is about.</param>
    public static void Write(Utf8JsonWriter json, IReadOnlyList<Package> packages, string name, Digest subject, DateTimeOffset created)
    {
        json.WriteStartObject();
        json.WriteString("spdxVersion", "SPDX-2.3");
        json.WriteString("dataLicense", "CC0-1.0");
        json.WriteString("SPDXID", "SPDXRef-DOCUMENT");
        json.WriteString("name", name);
        json.WriteString("documentNamespace", $"https://spdx.org/spdxdocs/image-{subject.Hex}");
        json.WriteStartObject("creationInfo");
        json.WriteStartArray("creators");
        json.WriteStringValue($"Tool: slipway-{EngineVersion.Current}");
        json.WriteEndArray();
        json.WriteString("created", created.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
        json.WriteEndObject();
        json.WriteStartArray("packages");
        WritePackage(json, RootId, name, subject.ToString(), null, null, "CONTAINER");
        for (int i = 0; i < packages.Count; i++)
        {
            WritePackage(json, Id(i), packages[i].Namespace.StartsWith('@') ? $"{packages[i].Namespace}/{packages[i].Name}" : packages[i].Name, packages[i].Version, packages[i].License, packages[i].Url, "LIBRARY");
        }

        json.WriteEndArray();
        json.WriteStartArray("relationships");
        WriteRelationship(json, "SPDXRef-DOCUMENT", "DESCRIBES", RootId);
        for (int i = 0; i < packages.Count; i++)
        {
            WriteRelationship(json, RootId, "CONTAINS", Id(i));
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static string Id(int number) => string.Create(CultureInfo.InvariantCulture, $"SPDXRef-Package-{number}");

    private static void WritePackage(Utf8JsonWriter json, string id, string name, string version, string? license, string? url, string purpose)
    {
        json.WriteStartObject();
        json.WriteString("name", name);
        json.WriteString("SPDXID", id);
        if (version.Length > 0)
        {
            json.WriteString("versionInfo", version);
        }

        json.WriteString("downloadLocation", Unknown);
        json.WriteBoolean("filesAnalyzed", false);
        json.WriteString("licenseConcluded", Unknown);
        json.WriteString("licenseDeclared", Unknown);
        if (license is not null)
        {
            // What managers write is no license expression of SPDX.
            json.WriteString("licenseComments", license);
        }

        json.WriteString("copyrightText", Unknown);
        json.WriteString("primaryPackagePurpose", purpose);
        if (url is not null)
        {
            json.WriteStartArray("externalRefs");
            json.WriteStartObject();
            json.WriteString("referenceCategory", "PACKAGE-MANAGER");
            json.WriteString("referenceType", "purl");
            json.WriteString("referenceLocator", url);
            json.WriteEndObject();
            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static void WriteRelationship(Utf8JsonWriter json, string from, string type, string to)
    {
        json.WriteStartObject();
        json.WriteString("spdxElementId", from);
        json.WriteString("relationshipType", type);
        json.WriteString("relatedSpdxElement", to);
        json.WriteEndObject();
    }
}
