using System.Runtime.ExceptionServices;
using Slipway.Kernel.Files;
using Slipway.Kernel.Users;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Copies;

/// <summary>
/// Copies files out of and into a tree that is seen through a root descriptor, as tars (<c>docker cp</c>). All calls that may
/// block, and with a file system that a container serves itself that is any, are made on threads of their own.
/// </summary>
public static class ContainerCopy
{
    /// <summary>Directories one path may lead through: each holds a descriptor while it is walked.</summary>
    public const int MaxDepth = 512;

    /// <exception cref="StorageException">NotFound, InvalidParameter.</exception>
    public static Task<PathStatus> StatusAsync(RootDirectory root, string path) => WorkerThread.RunAsync("copy-stat", () =>
    {
        using var source = CopySource.Open(root, path);
        return source.Status;
    });

    /// <summary>Finds what is to be copied; writing it comes after, so that who asked can be told first what it is.</summary>
    /// <param name="maps">As <see cref="CopyOptions.Maps"/>.</param>
    /// <exception cref="StorageException">NotFound, InvalidParameter.</exception>
    public static async Task<OutgoingCopy> ReadAsync(RootDirectory root, string path, IdMaps? maps = null) =>
        new OutgoingCopy(await WorkerThread.RunAsync("copy-open", () => CopySource.Open(root, path)).ConfigureAwait(false), maps);

    /// <summary>Unpacks a tar, plain or compressed, into a directory. What was unpacked before an error stays.</summary>
    /// <exception cref="StorageException">NotFound, InvalidParameter, ReadOnly, Conflict: something is mounted where an entry belongs; System.</exception>
    public static async Task WriteAsync(RootDirectory root, string path, Stream tar, CopyOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await AsyncToBlockingStream.RunAsync(
                "copy-in",
                tar,
                stream =>
                {
                    using var maker = FileSystemIdentity.AssumeRootOf(options.Maps);
                    using var target = CopyTarget.Open(root, path, OwnerOutside(options));
                    new TarExtraction(target, options, MaxDepth, cancellationToken).Run(stream);
                    return true;
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (SourceException error)
        {
            // The sender's failure, in its own words: who sent knows what they mean.
            ExceptionDispatchInfo.Throw(error.InnerException!);
        }
    }

    /// <summary>Who owns what the archive does not describe.</summary>
    private static CopyOwner? OwnerOutside(CopyOptions options) => options switch
    {
        { Maps: null } => options.Owner,
        { Owner: { } owner } when options.Maps.Users.Outside(owner.UserId) is uint user && options.Maps.Groups.Outside(owner.GroupId) is uint group => new CopyOwner(user, group),
        _ => new CopyOwner(options.Maps.Root.UserId, options.Maps.Root.GroupId),
    };
}

/// <summary>A file or directory about to be copied out of a container.</summary>
public sealed class OutgoingCopy : IDisposable
{
    private readonly CopySource _source;

    private readonly IdMaps? _maps;

    internal OutgoingCopy(CopySource source, IdMaps? maps) => (_source, _maps) = (source, maps);

    public PathStatus Status => _source.Status;

    /// <summary>Writes it as a tar.</summary>
    public Task WriteToAsync(Stream output, CancellationToken cancellationToken) => WriteToAsync(output, null, cancellationToken);

    /// <summary>Writes it as a tar.</summary>
    /// <param name="name">What the entries are named after; null: the path's last component.</param>
    public Task WriteToAsync(Stream output, string? name, CancellationToken cancellationToken) =>
        BlockingToAsyncStream.RunAsync("copy-out", output, tar => _source.WriteTo(tar, name, ContainerCopy.MaxDepth, _maps, cancellationToken), cancellationToken);

    public void Dispose() => _source.Dispose();
}
