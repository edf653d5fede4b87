using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Changes;

/// <summary>The directories that a walk is in and whose entries are not written: they come before what is written in them, and not at all where nothing is.</summary>
internal sealed class PendingDirectories(FileArchiver archiver) : IDisposable
{
    /// <summary>Deepest last.</summary>
    private readonly List<Pending> _pending = [];

    public void Enter(in WalkedFile directory) => _pending.Add(new Pending(Descriptors.Duplicate(directory.Directory), directory.Path.ToArray(), directory.Status));

    public void Leave(in WalkedFile directory)
    {
        if (_pending.Count > 0 && _pending[^1].Path.AsSpan().SequenceEqual(directory.Path))
        {
            _pending[^1].Parent.Dispose();
            _pending.RemoveAt(_pending.Count - 1);
        }
    }

    /// <summary>Something is to be written: the directories it is in come before it.</summary>
    public void Write()
    {
        foreach (var directory in _pending)
        {
            archiver.AddDirectory(directory.Parent, directory.Path, directory.Status);
            directory.Parent.Dispose();
        }

        _pending.Clear();
    }

    public void Dispose() => _pending.ForEach(directory => directory.Parent.Dispose());

    private readonly record struct Pending(SafeFileHandle Parent, byte[] Path, FileStatus Status);
}
