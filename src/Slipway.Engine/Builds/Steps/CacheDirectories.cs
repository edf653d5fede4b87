using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Build.Syntax;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;

namespace Slipway.Engine.Builds.Steps;

/// <summary>What a cache is where there is none yet.</summary>
internal sealed record NewCache
{
    /// <summary>Null: 0755, or that of the content.</summary>
    public uint? Mode { get; init; }

    /// <summary>Null: root, or that of the content.</summary>
    public uint? UserId { get; init; }

    public uint? GroupId { get; init; }

    /// <summary>Opens the directory whose content it begins with; null: it is empty.</summary>
    public Func<CancellationToken, Task<SafeFileHandle>>? Content { get; init; }
}

/// <summary>Directories of <c>RUN --mount=type=cache</c>, in the data root.</summary>
internal sealed class CacheDirectories(EngineServices services)
{
    private const uint ParentMode = 0x1c0; // 0700
    private const uint CacheMode = 0x1ed; // 0755

    /// <summary>Caches that only one step may have at a time, of all builds.</summary>
    private static readonly ConcurrentDictionary<string, SemaphoreSlim> s_held = new(StringComparer.Ordinal);

    /// <summary>Caches that are being made; a step waits for the one that makes it.</summary>
    private static readonly ConcurrentDictionary<string, SemaphoreSlim> s_made = new(StringComparer.Ordinal);

    /// <summary>A cache as a detached mount; one that is private and in use gets a neighbour of its own.</summary>
    /// <param name="opened">Gives back what is held when the step has ended.</param>
    /// <param name="id">Of which there is one.</param>
    /// <param name="part">What of it is shown; made where it is missing. Null: all.</param>
    public async Task<SafeFileHandle> OpenAsync(OpenedMounts opened, string id, CacheSharing sharing, NewCache created, string? part, CancellationToken cancellationToken)
    {
        string name = await HoldAsync(opened, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(id)))[..32], sharing, cancellationToken);
        HostPath caches = new HostPath(services.Options.DataRoot) / "builds" / "mounts";
        caches.CreateDirectories(ParentMode);
        using SafeFileHandle parent = caches.Open(OpenFlags.Path | OpenFlags.Directory);
        await EnsureAsync(caches, parent, name, created, cancellationToken);
        using SafeFileHandle cache = DirectoryEntry.Open(parent, name, OpenFlags.Path | OpenFlags.Directory);
        if (part is not { Length: > 0 } || part.Trim('/') is "" or ".")
        {
            return MountTree.Clone(cache, recursive: false);
        }

        // CVE-2024-23651: the part is found once, and then mounted as what was found.
        using RootDirectory root = new(Descriptors.Duplicate(cache));
        root.EnsureDirectory(part).Descriptor?.Dispose();
        using SafeFileHandle found = root.Open(part.Trim('/'), OpenFlags.Path | OpenFlags.Directory, resolution: Resolution.Beneath);
        return MountTree.Clone(found, recursive: false);
    }

    private async Task<string> HoldAsync(OpenedMounts opened, string id, CacheSharing sharing, CancellationToken cancellationToken)
    {
        string name = id;
        if (sharing == CacheSharing.Shared)
        {
            return name;
        }

        SemaphoreSlim held = Of(s_held, name);
        for (int copy = 1; sharing == CacheSharing.Private && !held.Wait(0, cancellationToken); copy++)
        {
            name = string.Create(CultureInfo.InvariantCulture, $"{id}-{copy}");
            held = Of(s_held, name);
        }

        if (sharing == CacheSharing.Locked)
        {
            await held.WaitAsync(cancellationToken);
        }

        opened.Releases.Add(() =>
        {
            held.Release();
            return ValueTask.CompletedTask;
        });
        return name;
    }

    /// <summary>Made beside its place, which it takes when it is whole: nobody sees half of it, and a kill leaves none.</summary>
    private async Task EnsureAsync(HostPath caches, SafeFileHandle parent, string name, NewCache created, CancellationToken cancellationToken)
    {
        SemaphoreSlim making = Of(s_made, name);
        await making.WaitAsync(cancellationToken);
        try
        {
            if (FileStatus.TryOf(parent, Encoding.UTF8.GetBytes(name)) is not null)
            {
                return;
            }

            // What an engine left that was killed is in the way.
            string made = $".{name}";
            TreeRemoval.Remove(parent, made);
            DirectoryEntry.CreateDirectory(parent, made, CacheMode);
            try
            {
                await FillAsync(caches / made, parent, made, created, cancellationToken);
                DirectoryEntry.Rename(parent, made, parent, name, RenameFlags.NoReplace);
            }
            catch
            {
                TreeRemoval.Remove(parent, made);
                throw;
            }
        }
        finally
        {
            making.Release();
        }
    }

    private async Task FillAsync(HostPath directory, SafeFileHandle parent, string name, NewCache created, CancellationToken cancellationToken)
    {
        DirectoryEntry.ChangeMode(parent, name, CacheMode);
        if (created.Content is { } open)
        {
            using SafeFileHandle content = await open(cancellationToken);
            await services.Data.Volumes.CopyTreeAsync(content, directory, cancellationToken);
        }

        FileStatus status = FileStatus.Of(parent, name);
        DirectoryEntry.ChangeOwner(parent, name, created.UserId ?? status.UserId, created.GroupId ?? status.GroupId);
        DirectoryEntry.ChangeMode(parent, name, created.Mode ?? status.Permissions);
    }

    private SemaphoreSlim Of(ConcurrentDictionary<string, SemaphoreSlim> semaphores, string name) =>
        semaphores.GetOrAdd($"{services.Options.DataRoot}/{name}", static _ => new SemaphoreSlim(1));
}
