using Slipway.Oci;
using Slipway.Storage.Layers;

namespace Slipway.Storage.Images;

/// <summary>
/// An image as an archive holds it. With the manifest it came with where every layer's exact bytes are here, kept or made again; otherwise with a
/// manifest of its own about layers that are not compressed.
/// </summary>
/// <param name="Layers">Lowest first.</param>
/// <param name="MadeManifest">The document where it was made for the archive; null for a stored one.</param>
internal sealed record SavedImage(ImageCatalog.Entry Entry, Descriptor Manifest, byte[]? MadeManifest, IReadOnlyList<SavedLayer> Layers);

/// <summary>A layer in an archive.</summary>
internal sealed record SavedLayer(Layer Layer, Descriptor Descriptor, Func<Stream> Open);
