using System.Security.Cryptography;
using System.Text.Json;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution.Transfer;

/// <summary>Judges what a registry sends as a manifest: its size, its digest, and that it is one thing and not two (CVE-2021-41190).</summary>
internal static class ManifestAnswer
{
    public const string DigestHeader = "Docker-Content-Digest";

    /// <summary>Types we understand; schema 1 is not among them.</summary>
    public static readonly string[] Accepted = [MediaTypes.OciIndex, MediaTypes.OciManifest, MediaTypes.DockerManifestList, MediaTypes.DockerManifest];

    /// <summary>Reads and verifies a manifest.</summary>
    /// <param name="expected">The digest it was asked for by, or none.</param>
    /// <param name="name">For texts.</param>
    public static async Task<RemoteManifest> ReadAsync(HttpResponseMessage answer, Digest expected, Reference name, CancellationToken cancellationToken)
    {
        var content = await BoundedBody.ReadAsync(answer, ManifestLimits.Document, $"the manifest of {name.Familiar}", cancellationToken).ConfigureAwait(false);
        var named = DigestOf(answer);
        var digest = Verify(content, expected.IsNone ? named : expected);
        if (!named.IsNone)
        {
            Verify(content, named);
        }

        var announced = answer.Content.Headers.ContentType?.MediaType;
        return new RemoteManifest(new Descriptor { MediaType = TypeOf(content, announced, name), Digest = digest, Size = content.Length }, content);
    }

    /// <summary>The digest that the registry names, or none.</summary>
    public static Digest DigestOf(HttpResponseMessage answer) =>
        !answer.Headers.TryGetValues(DigestHeader, out var values) ? default
        : Digest.TryParse(values.First(), out var digest) ? digest
        : throw new RegistryException(RegistryErrorKind.Invalid, $"the registry names no valid digest in {DigestHeader}");

    public static bool IsSchema1(string? mediaType) =>
        mediaType is "application/vnd.docker.distribution.manifest.v1+json" or "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// <summary>Docker's text.</summary>
    public static RegistryException Schema1(Reference name) => new(
        RegistryErrorKind.Invalid,
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. "
        + $"Suggest the author of {name} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. "
        + "More information at https://docs.docker.com/go/deprecated-image-specs/");

    private static Digest Verify(byte[] content, Digest expected)
    {
        var found = expected is { IsNone: false, Algorithm: Digest.Sha512 } ? Digest.FromHash(SHA512.HashData(content)) : Digest.Of(content);
        return expected.IsNone || found == expected
            ? found
            : throw new RegistryException(RegistryErrorKind.Invalid, $"manifest verification failed for digest {expected}");
    }

    /// <summary>The document's own type; what the answer says counts only where the document is silent, and may not contradict it.</summary>
    private static string TypeOf(byte[] content, string? announced, Reference name)
    {
        if (IsSchema1(announced) || IsSchema1Document(content))
        {
            throw Schema1(name);
        }

        try
        {
            var document = ImageDocument.Parse(content);
            ManifestLimits.Check(document);
            var (own, isIndex) = document switch
            {
                ImageDocument.OfManifest { Value: var manifest } => (manifest.MediaType, false),
                ImageDocument.OfIndex { Value: var index } => (index.MediaType, true),
                _ => throw new OciException("invalid manifest"),
            };
            var type = own is { Length: > 0 } ? own
                : Accepted.Contains(announced) ? announced!
                : isIndex ? MediaTypes.OciIndex : MediaTypes.OciManifest;
            if (MediaTypes.IsIndex(type) != isIndex || (Accepted.Contains(announced) && announced != type))
            {
                throw new OciException($"invalid manifest: it is of type {(own is { Length: > 0 } ? own : isIndex ? MediaTypes.OciIndex : MediaTypes.OciManifest)}, but the registry says {announced}");
            }

            return type;
        }
        catch (OciException error)
        {
            throw new RegistryException(RegistryErrorKind.Invalid, error.Message, error);
        }
    }

    private static bool IsSchema1Document(byte[] content)
    {
        try
        {
            using var document = JsonDocument.Parse(content, new JsonDocumentOptions { MaxDepth = 64 });
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("schemaVersion", out var version) && version.ValueKind == JsonValueKind.Number
                && version.TryGetInt32(out var number) && number == 1;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
