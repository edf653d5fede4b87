using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Storage;

namespace Slipway.Engine.Containers.Launch;

/// <summary>
/// Sources of mounts that are given to the plan as descriptors. A part of a volume is found once, inside the volume, and then mounted as what was
/// found: containers that have the volume may put links in its place meanwhile, and change nothing by it (what Kubernetes met as CVE-2017-1002101 and CVE-2021-25741).
/// </summary>
internal static class MountSources
{
    /// <summary>Null for a mount whose source is a path of the host.</summary>
    /// <exception cref="EngineException">The part does not exist, or leads out.</exception>
    public static SafeFileHandle? Open(ContainerMount mount, DataRoot data)
    {
        if (mount.Type == "image")
        {
            SafeFileHandle image = data.Snapshots.MountImage(data.Images.Get(mount.ImageId!).ChainIds);
            if (mount.Subpath is not { } part)
            {
                return image;
            }

            using (image)
            {
                return OpenPart(image, part, mount.Source);
            }
        }

        if (mount is { Type: "volume", Subpath: { } subpath })
        {
            using SafeFileHandle volume = new HostPath(mount.Source).Open(OpenFlags.Path | OpenFlags.Directory);
            return OpenPart(volume, subpath, mount.Source);
        }

        return null;
    }

    private static SafeFileHandle OpenPart(SafeFileHandle tree, string subpath, string name)
    {
        // Not disposed: the tree is the caller's.
        RootDirectory root = new(tree);
        int errno = root.TryOpen(subpath, OpenFlags.Path, out SafeFileHandle? part, resolution: Resolution.Beneath);
        return errno switch
        {
            0 => part!,
            Errno.EXDEV => throw ContainerErrors.Invalid($"path concatenation escapes the base directory, base: {name}, subpath: {subpath}"),
            Errno.ENOENT or Errno.ENOTDIR => throw ContainerErrors.Invalid($"cannot access path {name}/{subpath}: no such file or directory"),
            _ => throw new EngineException(ErrorKind.System, new KernelException($"cannot access path {name}/{subpath}", errno).Message),
        };
    }
}
