using System.Buffers.Binary;
using System.Collections;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <param name="Name">Bytes, without <c>.</c> and <c>..</c>.</param>
/// <param name="Type"><see cref="FileType.None"/> where the file system does not tell.</param>
public readonly record struct ListedEntry(byte[] Name, FileType Type, ulong Inode);

/// <summary>The entries of an open directory, in the file system's order (getdents64(2)). Reads as it goes; nothing is followed.</summary>
/// <param name="directory">Any descriptor of a directory; O_PATH too.</param>
public sealed class DirectoryListing(SafeFileHandle directory) : IEnumerable<ListedEntry>
{
    private const int BufferSize = 32 * 1024;
    private const int HeaderSize = 19;

    public IEnumerator<ListedEntry> GetEnumerator()
    {
        using SafeFileHandle open = NativeOpen.Open(directory, "."u8, OpenFlags.Directory, 0, Resolution.Beneath);
        byte[] buffer = new byte[BufferSize];
        for (int length = Fill(open, buffer); length > 0; length = Fill(open, buffer))
        {
            // struct linux_dirent64: inode (8), offset (8), record length (2), type (1), name, NUL.
            for (int offset = 0; offset < length;)
            {
                int recordLength = BinaryPrimitives.ReadUInt16LittleEndian(buffer.AsSpan(offset + 16));
                Span<byte> name = buffer.AsSpan(offset + HeaderSize, recordLength - HeaderSize);
                name = name[..name.IndexOf((byte)0)];
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                {
                    yield return new ListedEntry(
                        name.ToArray(),
                        (FileType)((uint)buffer[offset + 18] << 12), // d_type is the type bits of st_mode, shifted (IFTODT).
                        BinaryPrimitives.ReadUInt64LittleEndian(buffer.AsSpan(offset)));
                }

                offset += recordLength;
            }
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static unsafe int Fill(SafeFileHandle directory, byte[] buffer)
    {
        fixed (byte* start = buffer)
        {
            nint length = NativeFiles.GetDents64(directory, start, buffer.Length);
            int errno = length >= 0 ? 0 : Marshal.GetLastPInvokeError();

            // ENOENT: the directory was removed since it was opened, so that nothing is in it.
            return errno switch
            {
                0 => (int)length,
                Errno.ENOENT => 0,
                _ => throw new KernelException("getdents", errno),
            };
        }
    }
}
