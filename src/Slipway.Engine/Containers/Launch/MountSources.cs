using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Users;
using Slipway.Storage;

namespace Slipway.Engine.Containers.Launch;

/// <summary>
/// Sources of mounts that are given to the plan as descriptors. A part of a volume is found once, inside the volume, and then mounted as what was
/// found: containers that have the volume may put links in its place meanwhile, and change nothing by it (what Kubernetes met as CVE-2017-1002101 and
/// CVE-2021-25741).
/// </summary>
internal static class MountSources
{
    /// <summary>The part of a volume that is to be mounted.</summary>
    /// <exception cref="EngineException">It does not exist, or leads out.</exception>
    public static SafeFileHandle OpenPart(ContainerMount mount, string subpath)
    {
        using RootDirectory volume = new HostPath(mount.Source).OpenRoot();
        int errno = volume.TryOpen(subpath, OpenFlags.Path, out SafeFileHandle? part, resolution: Resolution.Beneath);
        return errno == 0 ? part! : throw Failure(mount.Source, subpath, errno);
    }

    /// <summary>A detached mount of an image, or of a part of it.</summary>
    /// <param name="users">Whose ids the files show with; null: as they are.</param>
    /// <exception cref="EngineException">The part does not exist, or leads out.</exception>
    public static SafeFileHandle OpenImage(ContainerMount mount, DataRoot data, UserNamespace? users = null)
    {
        SafeFileHandle image = data.Snapshots.MountImage(data.Images.Get(mount.ImageId!).ChainIds, users);
        if (mount.Subpath is not { } subpath)
        {
            return image;
        }

        using (image)
        {
            try
            {
                return MountPart.Take(image, subpath);
            }
            catch (KernelException error)
            {
                throw Failure(mount.Source, subpath, error.Errno);
            }
        }
    }

    /// <summary>What the mount shows, as a detached mount.</summary>
    /// <exception cref="EngineException">A part that is mounted does not exist, or leads out.</exception>
    public static SafeFileHandle Clone(ContainerMount mount, bool recursive, DataRoot data)
    {
        if (mount.Type == "image")
        {
            return OpenImage(mount, data);
        }

        if (mount is { Type: "volume", Subpath: { } subpath })
        {
            using SafeFileHandle part = OpenPart(mount, subpath);
            return MountTree.Clone(part, recursive);
        }

        return MountTree.Clone(new HostPath(mount.Source), recursive);
    }

    private static EngineException Failure(string tree, string subpath, int errno) => errno switch
    {
        Errno.EXDEV => ContainerErrors.Invalid($"path concatenation escapes the base directory, base: {tree}, subpath: {subpath}"),
        Errno.ENOENT or Errno.ENOTDIR => ContainerErrors.Invalid($"cannot access path {tree}/{subpath}: no such file or directory"),
        _ => new EngineException(ErrorKind.System, new KernelException($"cannot access path {tree}/{subpath}", errno).Message),
    };
}
