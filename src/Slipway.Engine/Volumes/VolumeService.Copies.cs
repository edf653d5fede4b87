using System.Globalization;
using Slipway.Api.Disk;
using Slipway.Api.Volumes;
using Slipway.Engine.Containers;
using Slipway.Kernel.Files;
using Slipway.Storage;
using Slipway.Storage.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>Copies, snapshots, exports, other names: what Docker lacks.</summary>
internal sealed partial class VolumeService
{
    /// <summary>Pauses those of the containers that run, until the answer is disposed. Set by who knows containers.</summary>
    internal Func<IReadOnlyList<string>, CancellationToken, Task<IAsyncDisposable>> PauseUsers { get; set; } =
        (_, _) => throw new InvalidOperationException("nobody knows the containers yet");

    public Task<Volume> CopyAsync(string name, VolumeCopyRequest request, CancellationToken cancellationToken) => CopyAsync(name, request, incarnation: null, cancellationToken);

    private async Task<Volume> CopyAsync(string name, VolumeCopyRequest request, long? incarnation, CancellationToken cancellationToken)
    {
        string copy = string.IsNullOrEmpty(request.Name) ? CopyName(name) : VolumeNames.Check(request.Name);
        await using Pauses pauses = new();
        await using Borrowed source = await BorrowStillAsync(name, incarnation, request.Pause ? pauses : null, cancellationToken);
        VolumeDocument document = CopyDocument(source.Volume, request);
        LocalMount.Validate(document.Options);
        using Held held = await LockAsync(copy, cancellationToken);
        if (held.Volume.Document is not null)
        {
            throw VolumeErrors.Exists("create", copy);
        }

        DateTimeOffset now = _time.GetUtcNow();
        await TranslateAsync(_store.CopyAsync(new HostPath(source.Path), new VolumeRow(copy, now, document.ToBytes()), document.Size, cancellationToken));
        held.Volume.Created = now;
        held.Volume.Path = _store.DataPath(copy);
        held.Volume.Document = document;
        Publish(held.Volume, "create", (request.Snapshot ? "snapshotOf" : "cloneOf", name));
        return Describe(held.Volume);
    }

    public Task RenameAsync(string name, string newName, CancellationToken cancellationToken) => RenameAsync(name, newName, incarnation: null, cancellationToken);

    private async Task RenameAsync(string name, string newName, long? incarnation, CancellationToken cancellationToken)
    {
        VolumeNames.Check(newName);
        if (name == newName)
        {
            throw VolumeErrors.Exists("rename", newName);
        }

        // In one order whichever is renamed to which: two at a time must not wait for each other.
        bool inOrder = string.CompareOrdinal(name, newName) < 0;
        using Held first = await LockAsync(inOrder ? name : newName, cancellationToken);
        using Held second = await LockAsync(inOrder ? newName : name, cancellationToken);
        (VolumeEntry volume, VolumeEntry renamed) = inOrder ? (first.Volume, second.Volume) : (second.Volume, first.Volume);
        VolumeDocument document = volume.Is(incarnation) ? volume.Document ?? throw VolumeErrors.NoSuchVolume(name) : throw VolumeErrors.NoSuchVolume(name);
        if (renamed.Document is not null)
        {
            throw VolumeErrors.Exists("rename", newName);
        }

        if (volume.Users.Count > 0)
        {
            throw VolumeErrors.InUse("rename", volume);
        }

        if (document.Driver != LocalDriver.Name)
        {
            throw VolumeErrors.Invalid($"rename {name}: only the driver \"{document.Driver}\" itself could rename its volumes, and it has no such call");
        }

        await TranslateAsync(RenameHeldAsync(name, newName, cancellationToken));
        (renamed.Created, renamed.Path, renamed.Document) = (volume.Created, _store.DataPath(newName), document);
        volume.Document = null;
        Publish(renamed, "rename", ("oldName", name));
    }

    public Func<Stream, CancellationToken, Task> Export(string name) => Export(name, incarnation: null);

    private Func<Stream, CancellationToken, Task> Export(string name, long? incarnation)
    {
        _ = Find(name) ?? throw VolumeErrors.NoSuchVolume(name);
        return async (output, cancellationToken) =>
        {
            await using Borrowed source = await BorrowAsync(name, incarnation, holdsMounts: false, cancellationToken);
            await TranslateAsync(_store.ExportAsync(new HostPath(source.Path), output, cancellationToken));
            Publish(source.Volume, "export");
        };
    }

    /// <summary>What an engine that was killed has left mounted would stay mounted under the old name.</summary>
    private async Task RenameHeldAsync(string name, string newName, CancellationToken cancellationToken)
    {
        await _store.UnmountAsync(name);
        await _store.RenameAsync(name, newName, cancellationToken);
    }

    private string CopyName(string name) => VolumeNames.Check(string.Create(CultureInfo.InvariantCulture, $"{name}-{_time.GetUtcNow():yyyyMMdd'T'HHmmssfff}"));

    private static VolumeDocument CopyDocument(VolumeEntry source, VolumeCopyRequest request)
    {
        VolumeDocument original = source.Document!;
        string? size = !string.IsNullOrEmpty(request.Size) ? request.Size
            : original.Size is { } bytes ? bytes.ToString(CultureInfo.InvariantCulture)
            : null;
        Dictionary<string, string> labels = request.Labels ?? [];
        if (request.Snapshot)
        {
            labels[VolumeDocument.SnapshotLabel] = source.Name;
        }

        return new VolumeDocument
        {
            Driver = LocalDriver.Name,
            Options = size is null ? null : new Dictionary<string, string> { [LocalMount.SizeOption] = size },
            Labels = labels.Count > 0 ? labels : null,
            SnapshotOf = request.Snapshot ? source.Name : null,
        };
    }

    /// <summary>
    /// Mounts a volume to be copied, with those paused that have it mounted. Pausing takes the locks of containers, and who holds one may be waiting to mount
    /// this very volume: so nothing of the volume is held meanwhile, and where another has mounted it since, all is done again.
    /// </summary>
    /// <param name="pauses">Gets what is to be ended after the volume is given back; null: nobody is paused.</param>
    private async Task<Borrowed> BorrowStillAsync(string name, long? incarnation, Pauses? pauses, CancellationToken cancellationToken)
    {
        while (true)
        {
            long mounts = 0;
            if (pauses is not null)
            {
                (mounts, string[] users) = await UsersAsync(name, incarnation, cancellationToken);
                pauses.Add(await PauseUsers(users, cancellationToken));
            }

            Borrowed source = await BorrowAsync(name, incarnation, holdsMounts: true, cancellationToken);
            if (pauses is null || source.MountsBefore == mounts)
            {
                return source;
            }

            await source.DisposeAsync();
        }
    }

    private async Task<(long Mounts, string[] Users)> UsersAsync(string name, long? incarnation, CancellationToken cancellationToken)
    {
        using Held held = await LockForMountAsync(name, cancellationToken);
        return held.Volume.Is(incarnation) ? (held.Volume.Mounts, [.. held.Volume.Mounted]) : throw VolumeErrors.NoSuchVolume(name);
    }

    /// <summary>Mounts a volume for the engine's own reading. It is in use meanwhile: nobody removes or renames it.</summary>
    /// <param name="holdsMounts">Who wants to mount it waits until it is given back.</param>
    private async Task<Borrowed> BorrowAsync(string name, long? incarnation, bool holdsMounts, CancellationToken cancellationToken)
    {
        using Held held = await LockForMountAsync(name, cancellationToken);
        VolumeEntry volume = held.Volume;
        if (volume.Document is null || !volume.Is(incarnation))
        {
            throw VolumeErrors.NoSuchVolume(name);
        }

        long mounts = volume.Mounts;
        string user = Identifiers.New();
        string path = await MountHeldAsync(volume, user, cancellationToken);
        volume.AddUser(user);
        volume.Copying = holdsMounts ? new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) : volume.Copying;
        return new Borrowed(this, volume, user, path, mounts, holdsMounts);
    }

    private async ValueTask GiveBackAsync(Borrowed borrowed)
    {
        using Held held = await LockAsync(borrowed.Volume.Name, CancellationToken.None);
        borrowed.Volume.RemoveUser(borrowed.User);
        await UnmountHeldAsync(borrowed.Volume, borrowed.User);
        if (borrowed.HoldsMounts)
        {
            borrowed.Volume.Copying!.SetResult();
            borrowed.Volume.Copying = null;
        }
    }

    /// <summary>The lock of a volume of which no copy is being made.</summary>
    private async Task<Held> LockForMountAsync(string name, CancellationToken cancellationToken)
    {
        while (true)
        {
            Held held = await LockAsync(name, cancellationToken);
            if (held.Volume.Copying is not { } copying)
            {
                return held;
            }

            held.Dispose();
            await copying.Task.WaitAsync(cancellationToken);
        }
    }

    private static async Task TranslateAsync(Task work)
    {
        try
        {
            await work;
        }
        catch (StorageException exception)
        {
            throw ContainerErrors.From(exception);
        }
    }

    /// <param name="Path">Where the content lies.</param>
    /// <param name="MountsBefore">Those of the entry before this one.</param>
    private sealed record Borrowed(VolumeService Service, VolumeEntry Volume, string User, string Path, long MountsBefore, bool HoldsMounts) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Service.GiveBackAsync(this);
    }

    /// <summary>Containers that are paused until this is disposed.</summary>
    private sealed class Pauses : IAsyncDisposable
    {
        private readonly List<IAsyncDisposable> _pauses = [];

        public void Add(IAsyncDisposable pause) => _pauses.Add(pause);

        public async ValueTask DisposeAsync()
        {
            foreach (IAsyncDisposable pause in _pauses)
            {
                await pause.DisposeAsync();
            }
        }
    }
}
