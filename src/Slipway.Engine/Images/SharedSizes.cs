using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images;

/// <summary>How much of each image other images have too.</summary>
internal sealed class SharedSizes(IReadOnlyList<Image> images)
{
    private readonly Dictionary<Digest, int> _users = images.SelectMany(image => image.ChainIds.Distinct()).CountBy(chainId => chainId).ToDictionary();

    /// <summary>Bytes of the layers that more than one image has.</summary>
    public long Of(Image image) => image.Layers.Where(layer => _users.GetValueOrDefault(layer.ChainId) > 1).Sum(layer => layer.Size);
}
