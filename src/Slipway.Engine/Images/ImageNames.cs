using Slipway.Oci;

namespace Slipway.Engine.Images;

/// <summary>Names that requests give to images.</summary>
internal static class ImageNames
{
    /// <summary>A name to give: <paramref name="tag"/> wins over one in <paramref name="repository"/>; null for no name.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static Reference? Target(string repository, string? tag) => repository.Length == 0 ? null : StorageErrors.Of(() =>
    {
        Reference name = Reference.Parse(repository);
        return !name.Digest.IsNone ? throw new OciException("refusing to create a tag with a digest reference")
            : string.IsNullOrEmpty(tag) ? name.WithDefaultTag()
            : name.WithTag(tag);
    });
}
