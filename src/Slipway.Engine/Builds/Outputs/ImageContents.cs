using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Outputs;

/// <summary>Documents with their descriptors.</summary>
internal static class ImageContents
{
    public static ImageContent Of(string mediaType, byte[] document) => new(new Descriptor { MediaType = mediaType, Digest = Digest.Of(document), Size = document.Length }, document);
}
