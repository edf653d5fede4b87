using System.Globalization;
using System.Text;
using System.Text.Json;
using Slipway.Build.Solving;
using Slipway.Oci;

namespace Slipway.Engine.Builds.Attestations;

/// <summary>An image that a build was made from.</summary>
internal sealed record BuildMaterial(string Name, Platform Platform, Digest Digest);

/// <summary>What a build was, for all its platforms.</summary>
internal sealed record BuildFacts(string Dockerfile, string Text, DateTimeOffset Started, DateTimeOffset Finished, IReadOnlyList<BuildMaterial> Materials);

/// <summary>How an image was made: SLSA provenance v0.2 (slsa.dev/provenance/v0.2) in the shape of BuildKit's (docs.docker.com/build/metadata/attestations/slsa-definitions).</summary>
internal sealed class Provenance(BuildRequest request, ProvenanceRequest wanted, BuildFacts facts)
{
    public const string PredicateType = "https://slsa.dev/provenance/v0.2";

    private const string BuildType = "https://mobyproject.org/buildkit@v1";

    /// <param name="subject">The manifest of the image that it is about.</param>
    /// <param name="platforms">Of the stages that it was made of.</param>
    public void Write(Utf8JsonWriter json, StageState state, Digest subject, IReadOnlySet<Platform> platforms)
    {
        json.WriteStartObject();
        json.WriteStartObject("builder");
        json.WriteString("id", wanted.BuilderId);
        json.WriteEndObject();
        json.WriteString("buildType", BuildType);
        json.WriteStartArray("materials");
        foreach (BuildMaterial material in facts.Materials.Where(material => platforms.Contains(material.Platform)))
        {
            json.WriteStartObject();
            json.WriteString("uri", ImageUrl(material.Name, material.Platform));
            WriteDigest(json, material.Digest);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteInvocation(json);
        if (wanted.IsMaximal)
        {
            json.WriteStartObject("buildConfig");
            json.WriteStartArray("steps");
            foreach (ImageHistory step in (state.History ?? []).Skip(state.BaseHistory))
            {
                json.WriteStartObject();
                json.WriteString("createdBy", step.CreatedBy);
                json.WriteBoolean("emptyLayer", step.EmptyLayer);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        WriteMetadata(json, subject);
        json.WriteEndObject();
    }

    /// <summary><c>pkg:docker/alpine@3.20?platform=linux%2Famd64</c>.</summary>
    public static string ImageUrl(string name, Platform? platform)
    {
        string version = "";
        if (Reference.TryParse(name, out Reference? reference))
        {
            Reference full = reference!.WithDefaultTag();
            (name, version) = (full.FamiliarName, full.Tag ?? full.Digest.ToString());
        }

        string path = string.Join('/', name.Split('/').Select(Uri.EscapeDataString));
        return $"pkg:docker/{path}{(version.Length == 0 ? "" : "@" + Uri.EscapeDataString(version))}{(platform is null ? "" : "?platform=" + Uri.EscapeDataString(platform.ToString()))}";
    }

    private void WriteInvocation(Utf8JsonWriter json)
    {
        json.WriteStartObject("invocation");
        json.WriteStartObject("configSource");
        if (request.Context is RemoteContext remote)
        {
            json.WriteString("uri", remote.Address);
        }

        json.WriteString("entryPoint", facts.Dockerfile);
        json.WriteEndObject();
        json.WriteStartObject("parameters");
        json.WriteString("frontend", "dockerfile.v0");
        json.WriteStartObject("args");
        foreach ((string name, string value) in Arguments().OrderBy(argument => argument.Key, StringComparer.Ordinal))
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        json.WriteStartArray("locals");
        foreach (string name in request.Context is RemoteContext or null ? [] : (string[])["context", "dockerfile"])
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartObject("environment");
        json.WriteString("platform", Platform.Host.ToString());
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Arguments and labels may be what nobody else is to know: only who asks for all gets them.</summary>
    private IEnumerable<KeyValuePair<string, string>> Arguments()
    {
        if (request.Target is { Length: > 0 } target)
        {
            yield return new("target", target);
        }

        if (request.Platforms.Count > 0)
        {
            yield return new("platform", string.Join(',', request.Platforms));
        }

        if (request.NoCache)
        {
            yield return new("no-cache", "");
        }

        if (!wanted.IsMaximal)
        {
            yield break;
        }

        foreach ((string name, string? value) in request.Arguments.Where(argument => argument.Value is not null))
        {
            yield return new($"build-arg:{name}", value!);
        }

        foreach ((string name, string value) in request.Labels)
        {
            yield return new($"label:{name}", value);
        }
    }

    private void WriteMetadata(Utf8JsonWriter json, Digest subject)
    {
        json.WriteStartObject("metadata");

        // The same build with a time of its own is the same on any host and day.
        json.WriteString("buildInvocationID", request.SourceDate is null ? Guid.NewGuid().ToString("N") : subject.Hex);
        json.WriteString("buildStartedOn", Time(request.SourceDate ?? facts.Started));
        json.WriteString("buildFinishedOn", Time(request.SourceDate ?? facts.Finished));
        json.WriteStartObject("completeness");
        json.WriteBoolean("parameters", wanted.IsMaximal);
        json.WriteBoolean("environment", true);
        json.WriteBoolean("materials", false);
        json.WriteEndObject();
        json.WriteBoolean("reproducible", wanted.IsReproducible);
        if (wanted.IsMaximal)
        {
            json.WriteStartObject($"{BuildType}#metadata");
            json.WriteStartObject("source");
            json.WriteStartArray("infos");
            json.WriteStartObject();
            json.WriteString("filename", facts.Dockerfile);
            json.WriteString("language", "Dockerfile");
            json.WriteString("data", Convert.ToBase64String(Encoding.UTF8.GetBytes(facts.Text)));
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteDigest(Utf8JsonWriter json, Digest digest)
    {
        json.WriteStartObject("digest");
        json.WriteString(Digest.Sha256, digest.Hex);
        json.WriteEndObject();
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
