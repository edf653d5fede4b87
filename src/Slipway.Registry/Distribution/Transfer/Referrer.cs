using Slipway.Oci;

namespace Slipway.Registry.Distribution.Transfer;

/// <summary>A manifest that refers to another.</summary>
/// <param name="Descriptor">As lists of referrers have it: with the type of the artifact and the manifest's annotations.</param>
internal sealed record Referrer(Digest Subject, Descriptor Descriptor)
{
    /// <summary>Null where the manifest refers to nothing, or is none that could.</summary>
    public static Referrer? Of(RemoteManifest manifest)
    {
        try
        {
            return ImageDocument.Parse(manifest.Content.Span) switch
            {
                ImageDocument.OfManifest { Value: { Subject: { } subject } value } =>
                    new Referrer(subject.Digest, manifest.Descriptor with { ArtifactType = value.ArtifactType ?? value.Config.MediaType, Annotations = value.Annotations }),
                ImageDocument.OfIndex { Value: { Subject: { } subject } value } =>
                    new Referrer(subject.Digest, manifest.Descriptor with { ArtifactType = value.ArtifactType, Annotations = value.Annotations }),
                _ => null,
            };
        }
        catch (OciException)
        {
            // What the registry has taken need not be a document that we read.
            return null;
        }
    }
}
