using System.Text;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.BuildKit.Files;

/// <summary>
/// Makes a tree what a client lists: what did not change stays, what another tree of the same client has is linked from there, and only for the rest content
/// is asked for. Files are never written into once they are whole, so that links are safe. All calls block, and come from one thread.
/// </summary>
internal sealed class TreeWriter : IDisposable
{
    /// <summary>A listing is held in memory.</summary>
    public const int MaxFiles = 1_000_000;

    private readonly ContextTree _tree;
    private readonly TreeIndex _old;
    private readonly TreeIndex _new = new();
    private readonly IReadOnlyList<ContextTree> _siblings;
    private readonly List<TreeIndex?> _siblingIndexes;
    private readonly RootDirectory _root;
    private readonly List<ByteString> _paths = [];
    private readonly HashSet<ByteString> _changed = [];
    private readonly HashSet<ByteString> _touchedDirectories = [];
    private readonly Dictionary<uint, (SafeFileHandle File, long Length)> _arriving = [];
    private readonly HashSet<uint> _awaited = [];
    private (ByteString Path, SafeFileHandle Handle)? _directory;
    private bool _isDirty;

    /// <param name="siblings">Other trees of the same directory.</param>
    public TreeWriter(ContextTree tree, IReadOnlyList<ContextTree> siblings)
    {
        _tree = tree;
        _root = new RootDirectory(Descriptors.Duplicate(tree.Files));
        _siblings = siblings;
        _siblingIndexes = [.. siblings.Select(_ => (TreeIndex?)null)];
        TreeIndex? old = TreeIndex.TryLoad(tree.Descriptor);
        _old = old ?? new TreeIndex();
        if (old is null)
        {
            // An interrupted synchronisation left what nobody can tell the state of.
            Invalidate();
            TreeRemoval.Clear(tree.Files);
        }
    }

    /// <summary>Content is still to come.</summary>
    public bool IsWaiting => _awaited.Count > 0;

    /// <summary>Takes the next file of the listing, which gets the next number.</summary>
    /// <returns>The number to ask for its content by; null where that is not needed.</returns>
    /// <exception cref="GrpcException">InvalidArgument.</exception>
    public uint? List(FileStat file)
    {
        FilePath.Check(file.Path);
        FileType type = FileModes.TypeOf(file.Mode);
        ByteString parent = FilePath.Parent(file.Path);
        if (!parent.IsEmpty && !(_new.Files.TryGetValue(parent, out FileStat? directory) && FileModes.TypeOf(directory.Mode) == FileType.Directory))
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"\"{FilePath.Text(file.Path)}\" comes before its directory");
        }

        uint id = (uint)_paths.Count;
        _paths.Add(file.Path);
        if (_paths.Count > MaxFiles)
        {
            throw new GrpcException(GrpcStatusCode.ResourceExhausted, $"a context of more than {MaxFiles} files is not taken");
        }

        if (type is FileType.Socket)
        {
            // As the classic builder leaves them out: nobody listens to a copy of a socket.
            return null;
        }

        if (file.Size < 0 || type is FileType.None || !_new.TryAdd(file))
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"\"{FilePath.Text(file.Path)}\" is listed twice, or as no kind of file");
        }

        bool isKnown = _old.Files.TryGetValue(file.Path, out FileStat? known);
        if (isKnown && known!.Equals(file) && !_changed.Contains(file.Link))
        {
            return null;
        }

        Invalidate();
        _changed.Add(file.Path);
        _touchedDirectories.Add(parent);
        SafeFileHandle place = Open(parent);
        ReadOnlySpan<byte> name = FilePath.Name(file.Path);
        if (type == FileType.Directory)
        {
            MakeDirectory(file, place, name, isKnown && FileModes.TypeOf(known!.Mode) == FileType.Directory);
            return null;
        }

        TreeRemoval.Remove(place, name);
        return type == FileType.RegularFile ? MakeFile(file, place, name, id) : MakeSpecial(file, type, place, name);
    }

    /// <summary>The listing is whole: what it does not have goes.</summary>
    public void EndListing()
    {
        foreach (ByteString path in _old.Files.Keys.Where(path => !_new.Files.ContainsKey(path)))
        {
            Invalidate();
            ByteString parent = FilePath.Parent(path);
            _touchedDirectories.Add(parent);
            if (TryOpen(parent) is { } place)
            {
                TreeRemoval.Remove(place, FilePath.Name(path));
            }
        }
    }

    /// <summary>Takes a part of a file's content; an empty one is its end.</summary>
    /// <exception cref="GrpcException">InvalidArgument: it was not asked for.</exception>
    public void Receive(uint id, ReadOnlySpan<byte> data)
    {
        if (!_awaited.Contains(id))
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"content came for file {id}, which was not asked for");
        }

        FileStat file = _new.Files[_paths[(int)id]];
        if (!_arriving.TryGetValue(id, out (SafeFileHandle File, long Length) arriving))
        {
            arriving = (DirectoryEntry.Open(Open(FilePath.Parent(file.Path)), FilePath.Name(file.Path), OpenFlags.WriteOnly), 0);
        }

        if (!data.IsEmpty)
        {
            Descriptors.WriteAt(arriving.File, data, arriving.Length);
            _arriving[id] = (arriving.File, arriving.Length + data.Length);
            return;
        }

        Complete(file, arriving.File);
        SetAttributes(file, Open(FilePath.Parent(file.Path)), FilePath.Name(file.Path));
        if (arriving.Length != file.Size)
        {
            // It changed while it was read: whatever it is then, it has to come again.
            file.Size = -1;
        }

        arriving.File.Dispose();
        _arriving.Remove(id);
        _awaited.Remove(id);
    }

    /// <summary>Everything is there.</summary>
    public void Finish()
    {
        if (!_isDirty)
        {
            return;
        }

        foreach (ByteString path in _touchedDirectories.Where(path => !path.IsEmpty).OrderByDescending(path => path.Length))
        {
            if (_new.Files.TryGetValue(path, out FileStat? directory) && FileModes.TypeOf(directory.Mode) == FileType.Directory)
            {
                DirectoryEntry.SetTimes(Open(FilePath.Parent(path)), FilePath.Name(path), FileTime.Now, TimeOf(directory));
            }
        }

        _new.Save(_tree.Descriptor);
    }

    public void Dispose()
    {
        foreach ((SafeFileHandle file, _) in _arriving.Values)
        {
            file.Dispose();
        }

        _directory?.Handle.Dispose();
        _root.Dispose();
    }

    private void MakeDirectory(FileStat file, SafeFileHandle place, ReadOnlySpan<byte> name, bool exists)
    {
        if (!exists)
        {
            TreeRemoval.Remove(place, name);
            DirectoryEntry.CreateDirectory(place, name, 0x1c0);
        }

        DirectoryEntry.ChangeOwner(place, name, file.Uid, file.Gid);
        DirectoryEntry.ChangeMode(place, name, FileModes.PermissionsOf(file.Mode));
        SetAttributes(file, place, name);
        _touchedDirectories.Add(file.Path);
    }

    private uint? MakeFile(FileStat file, SafeFileHandle place, ReadOnlySpan<byte> name, uint id)
    {
        if (!file.Link.IsEmpty)
        {
            if (!_new.Files.TryGetValue(file.Link, out FileStat? target) || FileModes.TypeOf(target.Mode) != FileType.RegularFile || !target.Link.IsEmpty)
            {
                throw new GrpcException(GrpcStatusCode.InvalidArgument, $"\"{FilePath.Text(file.Path)}\" is a link to no file before it");
            }

            using SafeFileHandle source = _root.Open(file.Link.Span, OpenFlags.Path | OpenFlags.NoFollow, resolution: Resolution.Canonical);
            DirectoryEntry.CreateHardLink(source, place, name);
            return null;
        }

        if (TryLinkFromSibling(file, place, name))
        {
            return null;
        }

        using SafeFileHandle created = DirectoryEntry.CreateFile(place, name, 0x180);
        if (file.Size == 0)
        {
            Complete(file, created);
            SetAttributes(file, place, name);
            return null;
        }

        _awaited.Add(id);
        return id;
    }

    private static uint? MakeSpecial(FileStat file, FileType type, SafeFileHandle place, ReadOnlySpan<byte> name)
    {
        if (type == FileType.SymbolicLink)
        {
            DirectoryEntry.CreateSymbolicLink(place, name, file.Link.Span);
        }
        else
        {
            DirectoryEntry.CreateNode(place, name, type, 0, new DeviceNumber((uint)file.DeviceMajor, (uint)file.DeviceMinor));
            DirectoryEntry.ChangeMode(place, name, FileModes.PermissionsOf(file.Mode));
        }

        DirectoryEntry.ChangeOwner(place, name, file.Uid, file.Gid);
        DirectoryEntry.SetTimes(place, name, FileTime.Now, TimeOf(file));
        return null;
    }

    /// <summary>What another tree has under the same name and with the same properties need not come again.</summary>
    private bool TryLinkFromSibling(FileStat file, SafeFileHandle place, ReadOnlySpan<byte> name)
    {
        for (int i = 0; i < _siblings.Count; i++)
        {
            TreeIndex index = _siblingIndexes[i] ??= TreeIndex.TryLoad(_siblings[i].Descriptor) ?? new TreeIndex();
            if (!index.Files.TryGetValue(file.Path, out FileStat? known) || !known.Equals(file))
            {
                continue;
            }

            using RootDirectory root = new(Descriptors.Duplicate(_siblings[i].Files));
            if (root.TryOpen(file.Path.Span, OpenFlags.Path | OpenFlags.NoFollow, out SafeFileHandle? source, resolution: Resolution.Canonical) != 0)
            {
                continue;
            }

            using (source)
            {
                // Another build may be changing that tree: a file gets its time last, so one that has it is whole.
                FileStatus status = FileStatus.Of(source!);
                if (status.IsRegularFile && status.Size == file.Size && status.ModificationTime == TimeOf(file))
                {
                    DirectoryEntry.CreateHardLink(source!, place, name);
                    return true;
                }
            }
        }

        return false;
    }

    private static void Complete(FileStat file, SafeFileHandle handle)
    {
        Descriptors.ChangeOwner(handle, file.Uid, file.Gid);
        Descriptors.ChangeMode(handle, FileModes.PermissionsOf(file.Mode));
        Descriptors.SetTimes(handle, FileTime.Now, TimeOf(file));
    }

    /// <summary>What the kernel and overlays act on is not a client's to set; capabilities are part of a file.</summary>
    private static void SetAttributes(FileStat file, SafeFileHandle place, ReadOnlySpan<byte> name)
    {
        foreach ((string attribute, ByteString value) in file.Attributes)
        {
            if (attribute == "security.capability" || attribute.StartsWith("user.", StringComparison.Ordinal))
            {
                ExtendedAttributes.Set(place, name, Encoding.UTF8.GetBytes(attribute), value.Span);
            }
        }
    }

    private static FileTime TimeOf(FileStat file)
    {
        (long seconds, long nanoseconds) = Math.DivRem(file.Modified, 1_000_000_000);
        return nanoseconds < 0 ? new FileTime(seconds - 1, nanoseconds + 1_000_000_000) : new FileTime(seconds, nanoseconds);
    }

    private void Invalidate()
    {
        if (!_isDirty)
        {
            _isDirty = true;
            TreeIndex.Invalidate(_tree.Descriptor);
        }
    }

    /// <summary>A directory of the tree; the one opened last stays open, as files come directory by directory.</summary>
    private SafeFileHandle Open(ByteString directory) => TryOpen(directory) ?? throw new KernelException($"open \"{FilePath.Text(directory)}\"", Errno.ENOENT);

    private SafeFileHandle? TryOpen(ByteString directory)
    {
        if (directory.IsEmpty)
        {
            return _root.Descriptor;
        }

        if (_directory is { } last && last.Path == directory && !_changed.Contains(directory))
        {
            return last.Handle;
        }

        _directory?.Handle.Dispose();
        _directory = null;
        if (_root.TryOpen(directory.Span, OpenFlags.Path | OpenFlags.Directory, out SafeFileHandle? handle, resolution: Resolution.Canonical) != 0)
        {
            return null;
        }

        _directory = (directory, handle!);
        return handle;
    }
}
