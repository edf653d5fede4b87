using Slipway.Kernel.Files;

namespace Slipway.Storage.Layers;

/// <summary>
/// The path of a tar entry, cleaned lexically as Docker does: empty and <c>.</c> components go, <c>..</c> takes the one before with
/// it, an absolute path starts at the layer's root. No result leads out of the root.
/// </summary>
internal static class EntryPath
{
    /// <summary>Components joined by slashes, without one at either end; empty for the root itself.</summary>
    /// <exception cref="StorageException">InvalidParameter: the path leads out of the root, or is too deep.</exception>
    public static byte[] Clean(ReadOnlySpan<byte> name, int maxDepth)
    {
        if (name.Contains((byte)0))
        {
            throw Invalid(name, "it holds a NUL");
        }

        var absolute = name.StartsWith("/"u8);
        var path = new byte[name.Length];
        var length = 0;
        var depth = 0;
        foreach (var range in name.Split((byte)'/'))
        {
            var component = name[range];
            if (component.IsEmpty || component.SequenceEqual("."u8))
            {
                continue;
            }

            if (component.SequenceEqual(".."u8))
            {
                if (depth > 0)
                {
                    length = Math.Max(path.AsSpan(0, length).LastIndexOf((byte)'/'), 0);
                    depth--;
                }
                else if (!absolute)
                {
                    throw Invalid(name, "it is outside of the root");
                }

                continue;
            }

            if (++depth > maxDepth)
            {
                throw Invalid(name[..Math.Min(name.Length, 80)], $"it leads through more than {maxDepth} directories");
            }

            if (length > 0)
            {
                path[length++] = (byte)'/';
            }

            component.CopyTo(path.AsSpan(length));
            length += component.Length;
        }

        return path[..length];
    }

    /// <summary>The directory of a cleaned path; empty for one at the root.</summary>
    public static ReadOnlySpan<byte> Parent(ReadOnlySpan<byte> path)
    {
        var slash = path.LastIndexOf((byte)'/');
        return slash < 0 ? [] : path[..slash];
    }

    /// <summary>The last component of a cleaned path.</summary>
    public static ReadOnlySpan<byte> Name(ReadOnlySpan<byte> path) => path[(path.LastIndexOf((byte)'/') + 1)..];

    public static StorageException Invalid(ReadOnlySpan<byte> name, string reason) =>
        new(StorageErrorKind.InvalidParameter, $"invalid tar entry \"{new PathName(name).ToString()}\": {reason}");
}
