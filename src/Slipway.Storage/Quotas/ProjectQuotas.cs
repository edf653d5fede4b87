using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Quotas;

/// <summary>
/// The projects by which the file system of the data root bounds volumes and layers of containers, where it has project quotas. Which directory is of which project its inode says;
/// that a number is ours, the database. Numbers that somebody else on the file system uses are never taken.
/// </summary>
internal sealed class ProjectQuotas
{
    // Far above what administrators (/etc/projid) and other engines count up from.
    private const uint Lowest = 0x4000_0000;
    private const uint Numbers = 0x4000_0000;
    private const int Attempts = 1 << 16;

    private readonly SafeFileHandle _root;
    private readonly ProjectTable _table;
    private readonly uint _first;
    private readonly Lock _gate = new();
    private readonly HashSet<uint> _taken = [];

    /// <param name="root">The data root; stays the caller's.</param>
    public ProjectQuotas(SafeFileHandle root, ProjectTable table)
    {
        (_root, _table) = (root, table);
        IsAvailable = ProjectQuota.IsEnforced(root);

        // Engines that share a file system begin in different places: between looking whether a number is free and taking it another could come.
        _first = (uint)((FileStatus.Of(root).Inode << 12) % Numbers);
    }

    /// <summary>Whether the file system holds projects to their limits, as it was mounted when the data root was opened.</summary>
    public bool IsAvailable { get; }

    /// <summary>Makes numbers and directories agree after an end in the middle: a number without a directory is given back, one that a directory has is ours.</summary>
    /// <param name="held">The projects of all directories; listed only where there can be any.</param>
    public async Task OpenAsync(Func<IEnumerable<uint>> held, CancellationToken cancellationToken)
    {
        var recorded = await _table.AllAsync(cancellationToken).ConfigureAwait(false);
        if (!IsAvailable && recorded.Count == 0)
        {
            return;
        }

        var found = await WorkerThread.RunAsync("projects", () => held().Where(project => project - Lowest < Numbers).ToHashSet()).ConfigureAwait(false);
        _taken.UnionWith(recorded);
        foreach (var project in found.Where(_taken.Add))
        {
            await _table.InsertAsync(project, cancellationToken).ConfigureAwait(false);
        }

        foreach (var project in recorded.Where(project => !found.Contains(project)))
        {
            await ReturnAsync(project).ConfigureAwait(false);
        }
    }

    /// <summary>Takes a number that nobody uses.</summary>
    /// <param name="size">Bytes that what will be of the project may take.</param>
    public async Task<uint> TakeAsync(long size, CancellationToken cancellationToken)
    {
        var project = await WorkerThread.RunAsync("projects", Reserve).ConfigureAwait(false);
        try
        {
            await _table.InsertAsync(project, cancellationToken).ConfigureAwait(false);
            ProjectQuota.SetLimit(_root, project, size);
            return project;
        }
        catch
        {
            await ReturnAsync(project).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Gives a number back whose directory is gone; nothing happens for one that is not ours.</summary>
    public async Task ReturnAsync(uint project)
    {
        lock (_gate)
        {
            if (!_taken.Contains(project))
            {
                return;
            }
        }

        if (IsAvailable)
        {
            ProjectQuota.SetLimit(_root, project, null);
        }

        await _table.DeleteAsync(project, CancellationToken.None).ConfigureAwait(false);
        lock (_gate)
        {
            _taken.Remove(project);
        }
    }

    /// <summary>The project of a directory, if it is one of ours; otherwise <see cref="ProjectQuota.NoProject"/>.</summary>
    /// <param name="parent">May be named only (O_PATH).</param>
    public uint Of(SafeFileHandle parent, string name)
    {
        lock (_gate)
        {
            if (_taken.Count == 0)
            {
                return ProjectQuota.NoProject;
            }
        }

        var project = Read(parent, name);
        lock (_gate)
        {
            return _taken.Contains(project) ? project : ProjectQuota.NoProject;
        }
    }

    /// <summary>The project of a directory, whosever it is.</summary>
    public static uint Read(SafeFileHandle parent, string name)
    {
        if (DirectoryEntry.TryOpen(parent, name, OpenFlags.Directory | OpenFlags.NoFollow, out var directory) != 0)
        {
            return ProjectQuota.NoProject;
        }

        using (directory)
        {
            return ProjectQuota.Of(directory!);
        }
    }

    /// <summary>Bytes that a project may take; null where it is not bounded.</summary>
    public long? LimitOf(uint project) => IsAvailable && project != ProjectQuota.NoProject ? ProjectQuota.LimitOf(_root, project) : null;

    /// <summary>Makes sure that a project is bounded as it was when it was taken: quotas can be switched off and made anew while no engine runs.</summary>
    /// <param name="purpose">Whose project it is, for the error.</param>
    /// <exception cref="StorageException">The file system no longer bounds it.</exception>
    public void Hold(uint project, long size, string purpose)
    {
        if (!IsAvailable)
        {
            throw new StorageException(
                StorageErrorKind.System, $"{purpose} is bounded by a project quota, which the file system of the data root does not enforce any more (mount option prjquota)");
        }

        ProjectQuota.SetLimit(_root, project, size);
    }

    private uint Reserve()
    {
        lock (_gate)
        {
            for (uint attempt = 0; attempt < Attempts; attempt++)
            {
                var candidate = Lowest + ((_first + attempt) % Numbers);
                if (!_taken.Contains(candidate) && ProjectQuota.IsUnused(_root, candidate))
                {
                    _taken.Add(candidate);
                    return candidate;
                }
            }
        }

        throw new StorageException(StorageErrorKind.System, "no project number is free on the file system of the data root");
    }
}
