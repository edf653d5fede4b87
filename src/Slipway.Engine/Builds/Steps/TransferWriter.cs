using System.Globalization;
using System.Text;
using Slipway.Build.Context;
using Slipway.Build.Solving;
using Slipway.Engine.Builds.Sources;
using Slipway.Oci.Tar;

namespace Slipway.Engine.Builds.Steps;

/// <summary>
/// Writes what COPY and ADD make as the tar of a layer. Where it goes is found in the root file system, links followed inside of it; the tar has canonical paths
/// only, so that unpacking it follows none.
/// </summary>
/// <param name="rootfs">What is there already; null: nothing of it has a say (<c>--link</c>).</param>
/// <param name="owner">Of all that is made; null: root, or as in the source where that is kept.</param>
internal sealed class TransferWriter(TransferOperation operation, TransferInputs inputs, SourceTree? rootfs, (uint User, uint Group)? owner, Stream output, CancellationToken cancellationToken)
{
    private const uint DirectoryMode = 0x1ed; // 0755
    private const uint MaximumMode = 0xfff;
    private const int BufferSize = 256 << 10;

    private readonly TarWriter _tar = new(output);
    private readonly byte[] _buffer = new byte[BufferSize];
    private readonly HashSet<string> _made = new(StringComparer.Ordinal);
    private readonly Dictionary<object, string> _linked = [];
    private readonly uint? _mode = Mode(operation.Mode);

    /// <summary>Octal permissions.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static uint? Mode(string? text)
    {
        if (text is null)
        {
            return null;
        }

        try
        {
            uint mode = Convert.ToUInt32(text, 8);
            return mode <= MaximumMode ? mode : throw new OverflowException();
        }
        catch (Exception error) when (error is FormatException or OverflowException or ArgumentException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777", error);
        }
    }

    /// <exception cref="EngineException">Something is in the way.</exception>
    public void Write()
    {
        string destination = SourceTree.Text(operation.Destination).TrimEnd('/');
        bool isDirectory = operation.Destination.EndsWith('/');
        (string path, SourceNode? there) = rootfs?.Resolve(destination) ?? (destination.Trim('/'), null);
        isDirectory |= there is { IsDirectory: true } || path.Length == 0;
        if (there is { IsDirectory: false } && (operation.Destination.EndsWith('/') || inputs.Items.Any(item => item.Node.IsDirectory)))
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"cannot copy to non-directory: {operation.Destination}");
        }

        foreach (TransferItem item in inputs.Items)
        {
            // Names of one file stay that within what is named, as in Docker.
            _linked.Clear();
            string folder = item.Folder.Length == 0 ? path : Join(path, item.Folder);
            if (item.Unpacked is { } archive)
            {
                EnsureDirectory(path);
                WriteChildren(archive.Root, path, "", IgnoreFile.Empty, keepsOwners: true);
            }
            else if (item.Node.IsDirectory)
            {
                EnsureDirectory(folder);
                WriteChildren(item.Node, folder, "", inputs.Excludes, inputs.KeepsOwners);
            }
            else
            {
                string target = isDirectory || item.Folder.Length > 0 ? Join(folder, item.Name) : path;
                EnsureDirectory(Parent(target));
                WriteFile(item.Node, target, inputs.KeepsOwners);
            }
        }

        foreach (InlineFile file in operation.Files)
        {
            string target = isDirectory ? Join(path, SourceTree.Text(file.Name)) : path;
            EnsureDirectory(Parent(target));
            RequireNoDirectory(target);
            _tar.WriteEntry(Owned(new TarEntry { Name = Bytes(target), Mode = _mode ?? 0x1a4, ModificationTime = Now }, keepsOwners: false), Encoding.UTF8.GetBytes(file.Content));
        }

        _tar.Finish();
    }

    /// <summary>The destination as an empty directory.</summary>
    public void WriteDirectory()
    {
        EnsureDirectory(rootfs!.Resolve(SourceTree.Text(operation.Destination)).Path);
        _tar.Finish();
    }

    private TarTime Now => new(operation.Time.ToUnixTimeSeconds(), 0);

    private static string Join(string directory, string name) => directory.Length == 0 ? name : $"{directory}/{name}";

    private static string Parent(string path) => path.LastIndexOf('/') is >= 0 and var slash ? path[..slash] : "";

    private static byte[] Bytes(string path) => Encoding.Latin1.GetBytes(path);

    /// <summary>Makes a directory, with those it is in, unless it is there.</summary>
    private void EnsureDirectory(string path)
    {
        if (path.Length == 0 || _made.Contains(path))
        {
            return;
        }

        EnsureDirectory(Parent(path));
        _made.Add(path);
        SourceNode? there = rootfs?.Find(path);
        if (there is { IsDirectory: false })
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"cannot copy to non-directory: /{SourceTree.Display(path)}");
        }

        if (there is null)
        {
            _tar.WriteEntry(Owned(new TarEntry { Name = Bytes(path + "/"), Type = TarEntryType.Directory, Mode = DirectoryMode, ModificationTime = Now }, keepsOwners: false));
        }
    }

    private void WriteChildren(SourceNode directory, string target, string path, IgnoreFile excludes, bool keepsOwners)
    {
        foreach (SourceNode child in directory.Children.Values)
        {
            cancellationToken.ThrowIfCancellationRequested();
            string below = Join(path, child.Name);
            bool excluded = excludes.Ignores(SourceTree.Display(below));
            if (excluded && !(child.IsDirectory && excludes.HasExceptions))
            {
                continue;
            }

            string to = Join(target, child.Name);
            if (!child.IsDirectory)
            {
                WriteFile(child, to, keepsOwners);
                continue;
            }

            if (!excluded)
            {
                RequireName(child.Name);
                if (rootfs?.Find(to) is { IsDirectory: false })
                {
                    throw new EngineException(ErrorKind.InvalidParameter, $"cannot copy to non-directory: /{SourceTree.Display(to)}");
                }

                _made.Add(to);
                _tar.WriteEntry(Owned(child.Entry with { Name = Bytes(to + "/"), Mode = _mode ?? child.Entry.Mode, ModificationTime = Time(child.Entry) }, keepsOwners));
            }

            WriteChildren(child, to, below, excludes, keepsOwners);
        }
    }

    private void WriteFile(SourceNode file, string target, bool keepsOwners)
    {
        RequireName(target[(target.LastIndexOf('/') + 1)..]);
        RequireNoDirectory(target);
        if (file.Links is { } links && !_linked.TryAdd(links, target))
        {
            _tar.WriteEntry(Owned(
                new TarEntry
                {
                    Name = Bytes(target), Type = TarEntryType.HardLink, LinkName = Bytes(_linked[links]), ModificationTime = Time(file.Entry),
                    Mode = _mode ?? (keepsOwners ? file.Entry.Mode : inputs.ModeOf(file.Entry)), Uid = file.Entry.Uid, Gid = file.Entry.Gid,
                },
                keepsOwners));
            return;
        }

        TarEntry entry = file.Entry;
        uint mode = keepsOwners ? entry.Mode : inputs.ModeOf(entry);
        _tar.WriteEntry(Owned(
            entry with
            {
                Name = Bytes(target), Mode = entry.Type == TarEntryType.SymbolicLink ? entry.Mode : _mode ?? mode, ModificationTime = Time(entry), AccessTime = null, Sparse = null,
            },
            keepsOwners));
        if (entry.Type != TarEntryType.Regular)
        {
            return;
        }

        using Stream content = file.Open();
        for (long left = entry.Size; left > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int count = content.Read(_buffer, 0, (int)Math.Min(_buffer.Length, left));
            if (count == 0)
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"{SourceTree.Display(file.Path)} has become shorter while it was read");
            }

            _tar.WriteData(_buffer.AsSpan(0, count));
            left -= count;
        }
    }

    /// <summary>SOURCE_DATE_EPOCH bounds the times of files; whole seconds, as Docker's layers have.</summary>
    private TarTime Time(TarEntry entry) => new(Math.Min(entry.ModificationTime.Seconds, operation.Newest?.ToUnixTimeSeconds() ?? long.MaxValue), 0);

    private TarEntry Owned(TarEntry entry, bool keepsOwners) => owner is { } given ? entry with { Uid = given.User, Gid = given.Group }
        : keepsOwners ? entry
        : entry with { Uid = 0, Gid = 0 };

    private void RequireNoDirectory(string target)
    {
        if (rootfs?.Find(target) is { IsDirectory: true })
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"cannot overwrite directory \"/{SourceTree.Display(target)}\" with non-directory");
        }
    }

    /// <summary>In a layer such a name takes away another file (image-spec, layer.md, "Whiteouts").</summary>
    private static void RequireName(string name)
    {
        if (name.StartsWith(".wh.", StringComparison.Ordinal))
        {
            throw new EngineException(ErrorKind.InvalidParameter, string.Create(CultureInfo.InvariantCulture, $"cannot copy {SourceTree.Display(name)}: no image can hold a file whose name begins with \".wh.\""));
        }
    }
}
