using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>Reads and writes of one cgroup directory, by descriptor.</summary>
internal static unsafe class CgroupFiles
{
    /// <summary>Opens a group directory below another, or null where there is none.</summary>
    public static SafeFileHandle? TryOpenDirectory(SafeFileHandle parent, string name)
    {
        SafeFileHandle handle = CgroupNative.OpenAt(
            parent, name, CgroupNative.O_PATH | CgroupNative.O_DIRECTORY | CgroupNative.O_NOFOLLOW | CgroupNative.O_CLOEXEC);
        if (!handle.IsInvalid)
        {
            return handle;
        }

        int errno = Marshal.GetLastPInvokeError();
        handle.Dispose();
        return errno == Errno.ENOENT ? null : throw new KernelException($"open control group \"{name}\"", errno);
    }

    /// <summary>The group above, or null where this one was removed.</summary>
    public static SafeFileHandle? TryOpenParent(SafeFileHandle group) => TryOpenDirectory(group, "..");

    /// <summary>Opens a file of a group, or null where it does not exist.</summary>
    public static SafeFileHandle? TryOpen(SafeFileHandle group, string file, int access)
    {
        SafeFileHandle handle = CgroupNative.OpenAt(group, file, access | CgroupNative.O_CLOEXEC);
        if (!handle.IsInvalid)
        {
            return handle;
        }

        int errno = Marshal.GetLastPInvokeError();
        handle.Dispose();
        return errno is Errno.ENOENT or Errno.ENODEV ? null : throw new KernelException($"open {file}", errno);
    }

    public static bool Exists(SafeFileHandle group, string file)
    {
        using SafeFileHandle? handle = TryOpen(group, file, CgroupNative.O_PATH);
        return handle is not null;
    }

    /// <summary>The whole file, or null where it does not exist (any more).</summary>
    public static string? TryRead(SafeFileHandle group, string file)
    {
        using SafeFileHandle? handle = TryOpen(group, file, CgroupNative.O_RDONLY);
        if (handle is null)
        {
            return null;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(16384);
        try
        {
            int length = 0;
            while (true)
            {
                if (length == buffer.Length)
                {
                    byte[] larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }

                nint read;
                fixed (byte* start = buffer)
                {
                    read = CgroupNative.Read(handle, start + length, (nuint)(buffer.Length - length));
                }

                if (read == 0)
                {
                    return Encoding.UTF8.GetString(buffer, 0, length);
                }

                if (read > 0)
                {
                    length += (int)read;
                    continue;
                }

                int errno = Marshal.GetLastPInvokeError();
                switch (errno)
                {
                    case Errno.EINTR:
                        continue;

                    // The group was removed between open and read.
                    case Errno.ENODEV:
                        return null;
                    default:
                        throw new KernelException($"read {file}", errno);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Writes in one write(2), as cgroupfs demands. Returns 0 or the error number; ENOENT where there is no such file.</summary>
    public static int TryWrite(SafeFileHandle group, string file, string value)
    {
        using SafeFileHandle handle = CgroupNative.OpenAt(group, file, CgroupNative.O_WRONLY | CgroupNative.O_CLOEXEC);
        return handle.IsInvalid ? Marshal.GetLastPInvokeError() : TryWrite(handle, value);
    }

    /// <inheritdoc cref="TryWrite(SafeFileHandle, string, string)"/>
    public static int TryWrite(SafeFileHandle file, string value)
    {
        Span<byte> bytes = value.Length <= 256 ? stackalloc byte[Encoding.UTF8.GetMaxByteCount(value.Length)] : new byte[Encoding.UTF8.GetByteCount(value)];
        int length = Encoding.UTF8.GetBytes(value, bytes);
        fixed (byte* start = bytes)
        {
            while (CgroupNative.Write(file, start, (nuint)length) < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno != Errno.EINTR)
                {
                    return errno;
                }
            }
        }

        return 0;
    }

    public static void Write(SafeFileHandle group, string file, string value)
    {
        int errno = TryWrite(group, file, value);
        if (errno != 0)
        {
            throw new KernelException($"write \"{value}\" to {file}", errno);
        }
    }

    /// <summary>Writes setting after setting, a write(2) each; a file is opened once for those that follow each other.</summary>
    public static void WriteAll(SafeFileHandle group, IEnumerable<CgroupSetting> settings)
    {
        SafeFileHandle? handle = null;
        string? open = null;
        try
        {
            foreach (CgroupSetting setting in settings)
            {
                if (setting.File != open)
                {
                    handle?.Dispose();
                    handle = CgroupNative.OpenAt(group, setting.File, CgroupNative.O_WRONLY | CgroupNative.O_CLOEXEC);
                    open = setting.File;
                }

                int errno = handle!.IsInvalid ? Marshal.GetLastPInvokeError() : TryWrite(handle, setting.Value);
                if (errno != 0)
                {
                    throw new KernelException($"write \"{setting.Value}\" to {setting.File}", errno);
                }
            }
        }
        finally
        {
            handle?.Dispose();
        }
    }

    /// <summary>Names of the groups directly below a group.</summary>
    public static List<string> ListGroups(SafeFileHandle group)
    {
        List<string> names = [];
        using SafeFileHandle? directory = TryOpen(group, ".", CgroupNative.O_RDONLY | CgroupNative.O_DIRECTORY);
        if (directory is null)
        {
            return names;
        }

        Span<byte> buffer = new byte[8192];
        while (true)
        {
            int length = CgroupNative.ReadDirectory(directory, buffer);
            if (length == 0)
            {
                return names;
            }

            if (length < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                return errno == Errno.ENOENT ? names : throw new KernelException("list control groups", errno);
            }

            // struct linux_dirent64 (getdents(2)): d_ino 8, d_off 8, d_reclen 2, d_type 1, d_name.
            const byte DT_DIR = 4;
            for (ReadOnlySpan<byte> rest = buffer[..length]; rest.Length > 0; rest = rest[MemoryMarshal.Read<ushort>(rest[16..])..])
            {
                ReadOnlySpan<byte> name = rest[19..];
                name = name[..name.IndexOf((byte)0)];
                if (rest[18] == DT_DIR && !name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                {
                    names.Add(Encoding.UTF8.GetString(name));
                }
            }
        }
    }

    /// <summary>The value of <c>key value</c> in a flat keyed file, or null.</summary>
    public static ulong? FindKey(string? text, string key)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (line.Length > key.Length && line[key.Length] == ' ' && line.StartsWith(key, StringComparison.Ordinal)
                && ulong.TryParse(line[(key.Length + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out ulong value))
            {
                return value;
            }
        }

        return null;
    }
}
