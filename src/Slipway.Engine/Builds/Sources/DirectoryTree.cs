using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Build.Context;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Sources;

/// <summary>A directory as a tree: what a stage made, or a context on this host. Everything is opened below its descriptor, no link is followed.</summary>
internal static class DirectoryTree
{
    /// <param name="root">Owned from now on.</param>
    /// <param name="ignored">What is no part of it; null: everything is.</param>
    /// <param name="keepsOwners">False: all files are root's, as those of a client are.</param>
    public static SourceTree Open(SafeFileHandle root, IgnoreFile? ignored = null, bool keepsOwners = true)
    {
        RootDirectory directory = new(root);
        View view = new(directory, ignored, keepsOwners);
        return new SourceTree(new Node(view, null, "", FileStatus.Of(root), null), directory);
    }

    private sealed record View(RootDirectory Root, IgnoreFile? Ignored, bool KeepsOwners);

    private sealed class Node(View view, SourceNode? parent, string name, FileStatus status, byte[]? link) : SourceNode(parent, name)
    {
        private TarEntry? _entry;
        private SortedDictionary<string, SourceNode>? _children;

        public override TarEntry Entry => _entry ??= Describe();

        public override object? Links => status.IsRegularFile && status.LinkCount > 1 ? (status.Device, status.Inode) : null;

        public override SortedDictionary<string, SourceNode> Children
        {
            get
            {
                lock (this)
                {
                    return _children ??= List();
                }
            }
        }

        public override Stream Open()
        {
            using SafeFileHandle named = OpenHere(OpenFlags.Path | OpenFlags.NoFollow);
            if (!FileStatus.Of(named).IsRegularFile)
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"{SourceTree.Display(Path)} was changed while it was read");
            }

            return new FileStream(Descriptors.Reopen(named, OpenFlags.ReadOnly), FileAccess.Read, bufferSize: 0);
        }

        private SafeFileHandle OpenHere(OpenFlags flags) => view.Root.Open(Encoding.Latin1.GetBytes(Path), flags, resolution: Resolution.Canonical);

        private SortedDictionary<string, SourceNode> List()
        {
            SortedDictionary<string, SourceNode> children = new(StringComparer.Ordinal);
            if (!status.IsDirectory)
            {
                return children;
            }

            using SafeFileHandle directory = OpenHere(OpenFlags.Path | OpenFlags.Directory);
            foreach (ListedEntry entry in new DirectoryListing(directory))
            {
                if (FileStatus.TryOf(directory, entry.Name) is not { } found || found.Type == FileType.Socket)
                {
                    continue;
                }

                string childName = Encoding.Latin1.GetString(entry.Name);
                string path = Path.Length == 0 ? childName : $"{Path}/{childName}";
                if (view.Ignored is { } ignored && ignored.Ignores(SourceTree.Display(path)) && !(found.IsDirectory && ignored.HasExceptions))
                {
                    continue;
                }

                children.Add(childName, new Node(view, this, childName, found, found.IsSymbolicLink ? DirectoryEntry.ReadLink(directory, entry.Name) : null));
            }

            return children;
        }

        private TarEntry Describe() => new()
        {
            Name = [],
            Type = status.Type switch
            {
                FileType.Directory => TarEntryType.Directory,
                FileType.SymbolicLink => TarEntryType.SymbolicLink,
                FileType.CharacterDevice => TarEntryType.CharacterDevice,
                FileType.BlockDevice => TarEntryType.BlockDevice,
                FileType.Fifo => TarEntryType.Fifo,
                _ => TarEntryType.Regular,
            },
            LinkName = link ?? [],
            Mode = status.IsSymbolicLink ? 0x1ff : status.Permissions,
            Uid = view.KeepsOwners ? status.UserId : 0,
            Gid = view.KeepsOwners ? status.GroupId : 0,
            Size = status.IsRegularFile ? status.Size : 0,
            ModificationTime = new TarTime(status.ModificationTime.Seconds, 0),
            DeviceMajor = status.SpecialDevice.Major,
            DeviceMinor = status.SpecialDevice.Minor,
            Xattrs = status.IsRegularFile || status.IsDirectory ? Xattrs() : [],
        };

        private List<TarXattr> Xattrs()
        {
            List<TarXattr> xattrs = [];
            if (Parent is null)
            {
                return xattrs;
            }

            using SafeFileHandle directory = ((Node)Parent).OpenHere(OpenFlags.Path | OpenFlags.Directory);
            foreach (byte[] attribute in ExtendedAttributes.List(directory, NameBytes))
            {
                if (!attribute.AsSpan().StartsWith("trusted.overlay."u8) && !attribute.AsSpan().SequenceEqual("security.selinux"u8) && ExtendedAttributes.Get(directory, NameBytes, attribute) is { } value)
                {
                    xattrs.Add(new TarXattr(attribute, value));
                }
            }

            return xattrs;
        }
    }
}
