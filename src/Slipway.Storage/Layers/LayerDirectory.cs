using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Layers;

/// <summary>An open directory of a layer that is being unpacked.</summary>
/// <param name="Path">Canonical: no component is a link.</param>
/// <param name="HandsDownGroup">New entries get the directory's group, and directories its set-group-id bit (inode(7)).</param>
internal sealed record LayerDirectory(SafeFileHandle Descriptor, byte[] Path, bool HandsDownGroup) : IDisposable
{
    private const uint SetGroupId = 0x400;

    public static LayerDirectory Of(SafeFileHandle descriptor, byte[] path) =>
        new(descriptor, path, (FileStatus.Of(descriptor).Permissions & SetGroupId) != 0);

    /// <summary>The canonical path of one of its entries.</summary>
    public byte[] PathOf(ReadOnlySpan<byte> name) => Path.Length == 0 ? name.ToArray() : [.. Path, (byte)'/', .. name];

    public void Dispose() => Descriptor.Dispose();
}
