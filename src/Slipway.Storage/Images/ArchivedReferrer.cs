using System.Text.RegularExpressions;
using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>
/// Something in an archive that is about an image and is none: a signature, an attestation, a bill of materials. It is kept with the image.
/// </summary>
/// <param name="About">The manifest or index that it is about.</param>
/// <param name="IsListed">Whether the archive's own index lists it; otherwise the image's does.</param>
/// <param name="Files">Its manifest, and the blobs that this names.</param>
internal sealed partial record ArchivedReferrer(Descriptor Descriptor, Digest About, bool IsListed, IReadOnlyList<ArchiveFile> Files)
{
    private const string ReferenceTypeAnnotation = "vnd.docker.reference.type";
    private const string ReferenceDigestAnnotation = "vnd.docker.reference.digest";

    /// <summary>What an entry of an index is about: its subject (image-spec, manifest.md), BuildKit's annotation, or the tag that cosign makes of the digest; null for nothing.</summary>
    public static ArchivedReferrer? Open(ImageArchive archive, Descriptor descriptor, bool isListed)
    {
        if (descriptor.Digest.IsNone || !archive.Contains(ImageArchive.BlobPrefix + descriptor.Digest.Hex)
            || archive.GetBlob(descriptor.Digest) is not { Blob: not null } file
            || ImageDocument.Parse(ImageArchive.ReadDocument(file)) is not ImageDocument.OfManifest { Value: var manifest }
            || SubjectOf(descriptor, manifest) is not { IsNone: false } about)
        {
            return null;
        }

        var parts = (manifest.Layers ?? []).Append(manifest.Config).Where(part => !part.Digest.IsNone && archive.Contains(ImageArchive.BlobPrefix + part.Digest.Hex));
        return new ArchivedReferrer(descriptor, about, isListed, [file, .. parts.Select(part => archive.GetBlob(part.Digest)).Where(part => part.Blob is not null)]);
    }

    /// <summary>Whether an entry of an index is what BuildKit tells of another.</summary>
    public static bool IsAttestation(Descriptor descriptor) => descriptor.Annotations?.GetValueOrDefault(ReferenceTypeAnnotation) == "attestation-manifest";

    /// <summary>None for what is about nothing.</summary>
    public static Digest SubjectOf(Descriptor descriptor, Manifest manifest) =>
        manifest.Subject is { Digest.IsNone: false } subject ? subject.Digest
        : Digest.TryParse(descriptor.Annotations?.GetValueOrDefault(ReferenceDigestAnnotation), out var referenced) ? referenced
        : CosignTag().Match(descriptor.Annotations?.GetValueOrDefault(OciLayout.RefNameAnnotation) ?? "") is { Success: true } tag
            && Digest.TryParse($"{Digest.Sha256}:{tag.Groups[1].Value}", out var signed) ? signed
        : default;

    [GeneratedRegex(@"sha256-([0-9a-f]{64})\.(sig|att|sbom)$", RegexOptions.CultureInvariant)]
    private static partial Regex CosignTag();
}
