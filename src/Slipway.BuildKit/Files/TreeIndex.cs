using System.Buffers.Binary;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;
using Slipway.BuildKit.Protocol;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.BuildKit.Files;

/// <summary>What a client last said of each file of a tree. A tree without one was not finished, and is worth nothing.</summary>
internal sealed class TreeIndex
{
    private const string FileName = "index";
    private const string NewName = "index.new";
    private const int MaxSize = 512 << 20;

    private readonly Dictionary<ByteString, FileStat> _files;

    public TreeIndex() => _files = [];

    private TreeIndex(Dictionary<ByteString, FileStat> files) => _files = files;

    public IReadOnlyDictionary<ByteString, FileStat> Files => _files;

    /// <summary>Bytes of all files together.</summary>
    public long Size => _files.Values.Where(file => file.Link.IsEmpty && FileModes.TypeOf(file.Mode) == FileType.RegularFile).Sum(file => file.Size);

    public bool TryAdd(FileStat file) => _files.TryAdd(file.Path, file);

    /// <summary>Null where there is none, or none that can be read.</summary>
    public static TreeIndex? TryLoad(SafeFileHandle tree)
    {
        if (DirectoryEntry.TryOpen(tree, FileName, OpenFlags.ReadOnly, out SafeFileHandle? file) != 0)
        {
            return null;
        }

        using (file)
        {
            CodedInputStream input = new(Descriptors.ReadToEnd(file!, MaxSize));
            Dictionary<ByteString, FileStat> files = [];
            try
            {
                input.ReadFixed64();
                while (!input.IsAtEnd)
                {
                    FileStat stat = new();
                    input.ReadMessage(stat);
                    files.Add(stat.Path, stat);
                }
            }
            catch (Exception e) when (e is InvalidProtocolBufferException or ArgumentException)
            {
                // Cut by a power failure: the tree is made anew.
                return null;
            }

            return new TreeIndex(files);
        }
    }

    /// <summary>Bytes of a tree's files, without reading all of its index; null where it is not finished.</summary>
    public static long? TryReadSize(SafeFileHandle tree)
    {
        if (DirectoryEntry.TryOpen(tree, FileName, OpenFlags.ReadOnly, out SafeFileHandle? file) != 0)
        {
            return null;
        }

        using (file)
        {
            Span<byte> size = stackalloc byte[8];
            return Descriptors.ReadAt(file!, size, 0) == size.Length ? BinaryPrimitives.ReadInt64LittleEndian(size) : null;
        }
    }

    public void Save(SafeFileHandle tree)
    {
        using MemoryStream bytes = new();
        using (CodedOutputStream output = new(bytes, leaveOpen: true))
        {
            output.WriteFixed64((ulong)Size);
            foreach (FileStat file in _files.Values)
            {
                output.WriteMessage(file);
            }
        }

        TreeRemoval.Remove(tree, NewName);
        using (SafeFileHandle file = DirectoryEntry.CreateFile(tree, NewName, 0x180))
        {
            Descriptors.Write(file, bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
        }

        DirectoryEntry.Rename(tree, NewName, tree, FileName);
    }

    /// <summary>Says that the tree is being changed.</summary>
    public static void Invalidate(SafeFileHandle tree)
    {
        int errno = DirectoryEntry.TryOpen(tree, FileName, OpenFlags.Path, out SafeFileHandle? file);
        file?.Dispose();
        if (errno == 0)
        {
            DirectoryEntry.Unlink(tree, FileName);
        }
        else if (errno != Errno.ENOENT)
        {
            throw new KernelException($"open \"{FileName}\"", errno);
        }
    }
}
