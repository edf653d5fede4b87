using Slipway.Kernel.Files;
using Slipway.Storage.Copies;

namespace Slipway.Cli.Copying;

/// <summary>A file or directory of this host that is sent.</summary>
/// <param name="Name">What its entries are called; null: as the path's last component.</param>
internal sealed record LocalSource(OutgoingCopy Copy, bool IsDirectory, string? Name) : IDisposable
{
    public void Dispose() => Copy.Dispose();
}

/// <summary>Files of this host, read and written as the engine does it in containers: an archive that comes from one is hostile, and is unpacked by descriptors.</summary>
internal static class LocalFiles
{
    /// <summary>What is at a path, links followed.</summary>
    public static CopyTarget Target(string path)
    {
        string absolute = Absolute(path);
        return new CopyTarget(absolute, Path.Exists(absolute), Directory.Exists(absolute));
    }

    /// <exception cref="Slipway.Storage.StorageException">NotFound, InvalidParameter.</exception>
    public static async Task<LocalSource> OpenAsync(string path, bool followLink)
    {
        using RootDirectory root = Open("/");
        string absolute = Absolute(path);
        string? name = null;
        if (followLink && File.ResolveLinkTarget(absolute.TrimEnd('/'), returnFinalTarget: true) is { } target)
        {
            (name, absolute) = (Path.GetFileName(absolute.TrimEnd('/')), target.FullName);
        }

        OutgoingCopy copy = await ContainerCopy.ReadAsync(root, absolute).ConfigureAwait(false);
        return new LocalSource(copy, copy.Status.Status.IsDirectory, name);
    }

    /// <summary>Unpacks what an engine has sent. It belongs to who calls, unless owners are kept.</summary>
    /// <param name="name">What the archive calls it.</param>
    /// <param name="newName">What it is to be called; null: the same.</param>
    /// <exception cref="CommandException">There is no such directory.</exception>
    /// <exception cref="Slipway.Storage.StorageException">InvalidParameter, ReadOnly, Conflict, System.</exception>
    public static async Task UnpackAsync(string directory, Stream archive, string name, string? newName, bool keepOwner, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(directory))
        {
            throw new CommandException($"invalid output path: directory \"{directory}\" does not exist", 1);
        }

        // The directory is the root for the archive: its links, and names behind them, lead nowhere else.
        using RootDirectory root = Open(directory);
        FileCreationDefaults own = FileCreationDefaults.Read();
        CopyOptions options = new(KeepKinds: true, keepOwner ? null : new CopyOwner(own.UserId, own.GroupId), Renamed: newName is null ? null : new CopyName(name, newName));
        await ContainerCopy.WriteAsync(root, "/", archive, options, cancellationToken).ConfigureAwait(false);
    }

    private static RootDirectory Open(string directory) => new(new HostPath(directory).Open(OpenFlags.Path | OpenFlags.Directory));

    /// <summary>A slash or <c>/.</c> at the end means something, and stays.</summary>
    private static string Absolute(string path)
    {
        string full = Path.GetFullPath(path);
        return path is "." || path.EndsWith("/.", StringComparison.Ordinal) ? full.TrimEnd('/') + "/." : full;
    }
}
