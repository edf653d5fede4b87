namespace Slipway.Oci;

/// <summary>Media types (image-spec, media-types.md; distribution, manifest-v2-2.md).</summary>
public static class MediaTypes
{
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";
    public const string OciConfig = "application/vnd.oci.image.config.v1+json";
    public const string OciLayer = "application/vnd.oci.image.layer.v1.tar";
    public const string OciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    public const string OciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    public const string DockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json";
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    public const string DockerConfig = "application/vnd.docker.container.image.v1+json";
    public const string DockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
    public const string DockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    public const string DockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";

    private const string OciForeignLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    private const string DockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar";

    public static bool IsIndex(string? mediaType) => mediaType is OciIndex or DockerManifestList;

    public static bool IsManifest(string? mediaType) => mediaType is OciManifest or DockerManifest;

    public static bool IsConfig(string? mediaType) => mediaType is OciConfig or DockerConfig;

    /// <summary>Whether the type is a layer whose blob is a tar that can be unpacked (foreign layers included: their bytes may be present).</summary>
    public static bool IsLayer(string? mediaType) => mediaType is not null
        && (mediaType is OciLayer or OciLayerGzip or OciLayerZstd or DockerLayer or DockerLayerGzip or DockerLayerZstd
            || IsForeignLayer(mediaType));

    /// <summary>Layers that may not be distributed ("foreign").</summary>
    public static bool IsForeignLayer(string? mediaType) => mediaType is not null
        && (mediaType.StartsWith(OciForeignLayer, StringComparison.Ordinal) || mediaType.StartsWith(DockerForeignLayer, StringComparison.Ordinal));

    /// <summary>Whether the type claims to be a layer of an image, of a kind we know or not; what artifacts call their parts does not.</summary>
    public static bool LooksLikeLayer(Descriptor descriptor) =>
        descriptor.MediaType.Contains("image.layer", StringComparison.Ordinal) || descriptor.MediaType.Contains("image.rootfs", StringComparison.Ordinal);
}
