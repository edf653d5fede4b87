using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Storage.Layers;

/// <summary>What is known of a layer without the database: the file <c>size</c> beside <c>diff</c>.</summary>
/// <param name="Size">Bytes of its regular files.</param>
/// <param name="TarLength">Bytes of its tar; -1 for a layer that has no recipe, which an earlier version unpacked.</param>
/// <param name="Parent">Chain id of the layer below, or none.</param>
internal sealed record LayerFacts(long Size, long TarLength, Digest Parent)
{
    private const string FileName = "size";
    private const uint FileMode = 0x180; // 0600
    private const int HeadLength = 2 * sizeof(long);
    private const int MaximumLength = 256;

    /// <param name="layer">The layer's directory.</param>
    public static LayerFacts Read(SafeFileHandle layer)
    {
        using var file = DirectoryEntry.Open(layer, FileName, OpenFlags.ReadOnly);
        ReadOnlySpan<byte> bytes = Descriptors.ReadToEnd(file, MaximumLength);
        return new LayerFacts(
            BitConverter.ToInt64(bytes),
            bytes.Length < HeadLength ? -1 : BitConverter.ToInt64(bytes[sizeof(long)..]),
            bytes.Length <= HeadLength ? default : Digest.Parse(Encoding.ASCII.GetString(bytes[HeadLength..])));
    }

    public void Write(SafeFileHandle layer)
    {
        using var file = DirectoryEntry.CreateFile(layer, FileName, FileMode);
        Descriptors.Write(file, [.. BitConverter.GetBytes(Size), .. BitConverter.GetBytes(TarLength), .. Encoding.ASCII.GetBytes(Parent.ToString())]);
    }
}
