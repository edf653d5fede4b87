namespace Slipway.Storage.Layers;

/// <summary>Names by which a layer takes away what lower layers have (image-spec, layer.md, "Whiteouts").</summary>
internal static class Whiteout
{
    public static ReadOnlySpan<byte> Prefix => ".wh."u8;

    /// <summary>Hides everything that lower layers have in the directory.</summary>
    public static ReadOnlySpan<byte> OpaqueMarker => ".wh..wh..opq"u8;

    /// <summary>What AUFS kept for itself (<c>.wh..wh.plnk/…</c>); old archives have it, and it means nothing here.</summary>
    public static bool IsMetadata(ReadOnlySpan<byte> path)
    {
        foreach (var range in path.Split((byte)'/'))
        {
            var name = path[range];
            if (name.StartsWith(".wh..wh."u8) && !(name.SequenceEqual(OpaqueMarker) && range.End.GetOffset(path.Length) == path.Length))
            {
                return true;
            }
        }

        return false;
    }
}
