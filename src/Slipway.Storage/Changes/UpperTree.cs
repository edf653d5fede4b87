using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Changes;

/// <summary>How overlayfs writes down what a container did, in the directory of its own layer (overlayfs.rst).</summary>
internal static class UpperTree
{
    private static ReadOnlySpan<byte> Opaque => "trusted.overlay.opaque"u8;

    /// <summary>"A whiteout is created as a character device with 0/0 device number".</summary>
    public static bool IsWhiteout(in FileStatus status) => status.Type == FileType.CharacterDevice && status.SpecialDevice == default;

    /// <summary>Whether a directory hides all that the layers below have at its path.</summary>
    public static bool IsOpaque(in WalkedFile directory) => Attribute(directory.Directory, directory.Name, Opaque) is [(byte)'y'];

    /// <summary>An extended attribute, or null where it is not set, or the file was removed meanwhile.</summary>
    public static byte[]? Attribute(SafeFileHandle directory, ReadOnlySpan<byte> name, ReadOnlySpan<byte> attribute)
    {
        try
        {
            return ExtendedAttributes.Get(directory, name, attribute);
        }
        catch (KernelException error) when (error.Errno is Errno.ENOENT or Errno.ESTALE)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether an image without this path gets it when a container starts, as a place to mount something on: Docker has these in a
    /// layer of its own below the container's, so that they are nobody's change.
    /// </summary>
    public static bool IsMountPoint(ReadOnlySpan<byte> path, in FileStatus status) => status.Type switch
    {
        FileType.Directory => path.SequenceEqual("dev"u8) || path.SequenceEqual("proc"u8) || path.SequenceEqual("sys"u8) || path.SequenceEqual("etc"u8),
        FileType.RegularFile => status.Size == 0 && (path.SequenceEqual("etc/hosts"u8) || path.SequenceEqual("etc/hostname"u8) || path.SequenceEqual("etc/resolv.conf"u8)),
        _ => false,
    };
}
