using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;

namespace Slipway.Runtime.Foreign;

/// <summary>
/// The bundle of a container that a runtime of the host runs (runtime-spec, bundle.md), with all else that belongs to one run of it: the runtime's
/// own state, its log, the process ids it tells. It is in the exec root, <c>foreign/ID</c>, so that the engine after this one finds it.
/// </summary>
/// <param name="execRoot">Of the engine.</param>
/// <param name="id">Of the container; a plain name.</param>
public sealed class RuntimeBundle(string execRoot, string id)
{
    private const string Folder = "foreign";
    private const string Mounts = "mounts";
    private const uint Private = 0x1C0; // 0700
    private const int MaxNumber = 32;
    private const int MaxLog = 1 << 20;

    private readonly HostPath _directory = new HostPath(execRoot) / Folder / id;

    public string Id => id;

    public string Path => _directory.Value;

    /// <summary>Where the root file system is mounted.</summary>
    public string Rootfs => (_directory / "rootfs").Value;

    /// <summary>What the runtime remembers of its containers (<c>--root</c>): one directory for each, so that nothing is left when it goes.</summary>
    public string State => (_directory / "state").Value;

    /// <summary>Where CRIU has its logs and sockets.</summary>
    public string Work => (_directory / "criu").Value;

    /// <summary>Where the runtime says what went wrong, as JSON lines.</summary>
    public string Log => (_directory / "runtime.log").Value;

    /// <summary>The containers that have a bundle, for recovery.</summary>
    public static IReadOnlyList<string> List(string execRoot)
    {
        using SafeFileHandle? all = (new HostPath(execRoot) / Folder).TryOpen(OpenFlags.Directory | OpenFlags.NoFollow);
        return all is null ? [] : [.. new DirectoryListing(all).Select(entry => Encoding.UTF8.GetString(entry.Name))];
    }

    /// <summary>Makes it anew, and mounts the root file system in it.</summary>
    /// <param name="rootfs">Detached; attached here.</param>
    /// <exception cref="KernelException">The kernel refused; what is there is to be removed.</exception>
    public void Create(SafeFileHandle rootfs)
    {
        Create();
        Attach(rootfs, new HostPath(Rootfs));
    }

    /// <summary>Makes it anew, with an empty directory for the root file system: what hooks of our own runtime get to see.</summary>
    public void Create()
    {
        Remove();
        foreach (string name in (ReadOnlySpan<string>)["rootfs", Mounts, "state", "criu"])
        {
            (_directory / name).CreateDirectories(Private);
        }
    }

    /// <summary>Gives a detached mount a path that a specification can name.</summary>
    /// <returns>The path.</returns>
    public string Place(SafeFileHandle tree, int number)
    {
        string path = Reserve(tree, number);
        Attach(tree, new HostPath(path));
        return path;
    }

    /// <summary>Makes the path at which a mount namespace of its own may have a mount.</summary>
    /// <inheritdoc cref="Place" path="/returns"/>
    public string Reserve(SafeFileHandle tree, int number)
    {
        HostPath parent = _directory / Mounts;
        string name = number.ToString(CultureInfo.InvariantCulture);
        if (FileStatus.Of(tree).IsDirectory)
        {
            (parent / name).CreateDirectories(Private);
        }
        else
        {
            using SafeFileHandle directory = parent.Open(OpenFlags.Path | OpenFlags.Directory);
            DirectoryEntry.CreateFile(directory, name, 0x180).Dispose();
        }

        return (parent / name).Value;
    }

    /// <summary>Writes a document into the bundle.</summary>
    /// <returns>Its path.</returns>
    public string Write<T>(string name, T document, JsonTypeInfo<T> type)
    {
        HostPath path = _directory / name;
        using SafeFileHandle file = path.Open(OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Truncate | OpenFlags.NoFollow, 0x180);
        RandomAccess.Write(file, JsonSerializer.SerializeToUtf8Bytes(document, type), 0);
        return path.Value;
    }

    /// <summary>Where the runtime writes the process id of the container's first process, or of an exec.</summary>
    public string PidFile(string? execId) => (_directory / (execId is null ? "init.pid" : $"{execId}.pid")).Value;

    /// <summary>The process id that the runtime has told; null as long as it has not. The file is the runtime's, which writes it at one go or renames it there.</summary>
    public int? ReadPid(string? execId)
    {
        using SafeFileHandle? file = new HostPath(PidFile(execId)).TryOpen(OpenFlags.ReadOnly | OpenFlags.NoFollow);
        return file is not null && int.TryParse(Encoding.ASCII.GetString(Descriptors.ReadToEnd(file, MaxNumber)).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) && pid > 1 ? pid : null;
    }

    /// <summary>The runtime's last error; null where it has told none.</summary>
    public string? ReadError()
    {
        using SafeFileHandle? file = new HostPath(Log).TryOpen(OpenFlags.ReadOnly | OpenFlags.NoFollow);
        return file is null || RandomAccess.GetLength(file) > MaxLog ? null : RuntimeLog.LastError(Encoding.UTF8.GetString(Descriptors.ReadToEnd(file, MaxLog)));
    }

    /// <summary>Forgets what was said until now: an error read later is one of a later command.</summary>
    public void ClearLog() => new HostPath(Log).Open(OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Truncate | OpenFlags.NoFollow, 0x180).Dispose();

    /// <summary>What an exec needed.</summary>
    public void RemoveExec(string execId)
    {
        using SafeFileHandle? directory = _directory.TryOpen(OpenFlags.Directory | OpenFlags.NoFollow);
        foreach (string name in directory is null ? (ReadOnlySpan<string>)[] : [$"{execId}.pid", $"{execId}.json"])
        {
            TreeRemoval.Remove(directory!, name);
        }
    }

    /// <summary>Takes off its mounts and removes it; nothing happens where there is none.</summary>
    /// <exception cref="KernelException">A mount cannot be taken off; then nothing is removed, least of all what is mounted.</exception>
    public void Remove()
    {
        using (SafeFileHandle? mounts = (_directory / Mounts).TryOpen(OpenFlags.Directory | OpenFlags.NoFollow))
        {
            foreach (string name in mounts is null ? [] : new DirectoryListing(mounts).Select(entry => Encoding.UTF8.GetString(entry.Name)).ToList())
            {
                Unmount(_directory / Mounts / name);
            }
        }

        Unmount(new HostPath(Rootfs));
        using SafeFileHandle? all = (new HostPath(execRoot) / Folder).TryOpen(OpenFlags.Directory | OpenFlags.NoFollow);
        if (all is not null)
        {
            TreeRemoval.Remove(all, id);
        }
    }

    private static void Attach(SafeFileHandle tree, HostPath target)
    {
        using SafeFileHandle place = target.Open(OpenFlags.Path | OpenFlags.NoFollow);
        MountTree.Attach(tree, place);
    }

    private static void Unmount(HostPath path)
    {
        while (IsMounted(path))
        {
            MountTree.Unmount(path, detach: true);
        }
    }

    private static bool IsMounted(HostPath path)
    {
        using SafeFileHandle? file = path.TryOpen(OpenFlags.Path | OpenFlags.NoFollow);
        return file is not null && FileStatus.Of(file).IsMountRoot;
    }
}
