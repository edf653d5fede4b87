using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Files;

/// <summary>
/// Extended attributes (xattr(7)) of one name in an open directory, a symbolic link's own ones included. By the *xattrat calls
/// of Linux 6.13; before, by the l*xattr calls on <c>/proc/self/fd/N/name</c>, whose last component is not followed.
/// </summary>
public static unsafe class ExtendedAttributes
{
    // XATTR_SIZE_MAX, XATTR_LIST_MAX, XATTR_NAME_MAX (linux/limits.h).
    private const int MaximumSize = 65536;
    private const int MaximumName = 256;

    private static volatile bool s_lacksAtCalls;

    /// <summary>For tests: act as a kernel before 6.13.</summary>
    internal static bool UseFallback
    {
        get => s_lacksAtCalls;
        set => s_lacksAtCalls = value;
    }

    /// <summary>Creates or replaces an attribute.</summary>
    [SkipLocalsInit]
    public static void Set(SafeFileHandle directory, PathName name, PathName attribute, ReadOnlySpan<byte> value)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        byte* key = stackalloc byte[MaximumName];
        name.TerminateName(entry);
        TerminateAttribute(attribute, key);
        fixed (byte* bytes = value)
        {
            nint result = -1;
            int errno = Errno.ENOSYS;
            if (!s_lacksAtCalls)
            {
                var arguments = new NativeFiles.XattrArguments { Value = (ulong)bytes, Size = (uint)value.Length };
                result = NativeFiles.XattrAt(
                    NativeFiles.SYS_setxattrat, directory, entry, NativeFiles.AT_SYMLINK_NOFOLLOW, key, &arguments, sizeof(NativeFiles.XattrArguments));
                errno = result < 0 ? NoteError() : 0;
            }

            if (errno == Errno.ENOSYS)
            {
                byte* path = stackalloc byte[ProcEntryLength];
                result = NativeFiles.LSetXattr(FormatProcEntry(directory, entry, path), key, bytes, value.Length, 0);
                errno = result < 0 ? Marshal.GetLastPInvokeError() : 0;
            }

            Check(errno, "setxattr", name, attribute);
        }
    }

    /// <summary>An attribute's value, or null where it is not set.</summary>
    [SkipLocalsInit]
    public static byte[]? Get(SafeFileHandle directory, PathName name, PathName attribute)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        byte* key = stackalloc byte[MaximumName];
        name.TerminateName(entry);
        TerminateAttribute(attribute, key);
        byte* value = stackalloc byte[MaximumSize];
        nint length = -1;
        int errno = Errno.ENOSYS;
        if (!s_lacksAtCalls)
        {
            var arguments = new NativeFiles.XattrArguments { Value = (ulong)value, Size = MaximumSize };
            length = NativeFiles.XattrAt(
                NativeFiles.SYS_getxattrat, directory, entry, NativeFiles.AT_SYMLINK_NOFOLLOW, key, &arguments, sizeof(NativeFiles.XattrArguments));
            errno = length < 0 ? NoteError() : 0;
        }

        if (errno == Errno.ENOSYS)
        {
            byte* path = stackalloc byte[ProcEntryLength];
            length = NativeFiles.LGetXattr(FormatProcEntry(directory, entry, path), key, value, MaximumSize);
            errno = length < 0 ? Marshal.GetLastPInvokeError() : 0;
        }

        if (errno is Errno.ENODATA or Errno.EOPNOTSUPP)
        {
            return null;
        }

        Check(errno, "getxattr", name, attribute);
        return new Span<byte>(value, (int)length).ToArray();
    }

    /// <summary>The names of all attributes, as bytes; none where the file system has none.</summary>
    [SkipLocalsInit]
    public static IReadOnlyList<byte[]> List(SafeFileHandle directory, PathName name)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        name.TerminateName(entry);
        byte* list = stackalloc byte[MaximumSize];
        nint length = -1;
        int errno = Errno.ENOSYS;
        if (!s_lacksAtCalls)
        {
            length = NativeFiles.ListXattrAt(NativeFiles.SYS_listxattrat, directory, entry, NativeFiles.AT_SYMLINK_NOFOLLOW, list, MaximumSize);
            errno = length < 0 ? NoteError() : 0;
        }

        if (errno == Errno.ENOSYS)
        {
            byte* path = stackalloc byte[ProcEntryLength];
            length = NativeFiles.LListXattr(FormatProcEntry(directory, entry, path), list, MaximumSize);
            errno = length < 0 ? Marshal.GetLastPInvokeError() : 0;
        }

        if (errno == Errno.EOPNOTSUPP)
        {
            return [];
        }

        Check(errno, "listxattr", name, "");
        return length == 0 ? [] : Names(new ReadOnlySpan<byte>(list, (int)length));
    }

    /// <summary>The names of all attributes of an open file, as bytes; none where the file system has none.</summary>
    /// <param name="file">No O_PATH descriptor.</param>
    [SkipLocalsInit]
    public static IReadOnlyList<byte[]> List(SafeFileHandle file)
    {
        byte* list = stackalloc byte[MaximumSize];
        nint length = NativeFiles.FListXattr(file, list, MaximumSize);
        int errno = length < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (errno == Errno.EOPNOTSUPP)
        {
            return [];
        }

        Check(errno, "flistxattr", "", "");
        return length == 0 ? [] : Names(new ReadOnlySpan<byte>(list, (int)length));
    }

    /// <summary>An attribute's value of an open file, or null where it is not set.</summary>
    /// <param name="file">No O_PATH descriptor.</param>
    [SkipLocalsInit]
    public static byte[]? Get(SafeFileHandle file, PathName attribute)
    {
        byte* key = stackalloc byte[MaximumName];
        TerminateAttribute(attribute, key);
        byte* value = stackalloc byte[MaximumSize];
        nint length = NativeFiles.FGetXattr(file, key, value, MaximumSize);
        int errno = length < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (errno is Errno.ENODATA or Errno.EOPNOTSUPP)
        {
            return null;
        }

        Check(errno, "fgetxattr", "", attribute);
        return new Span<byte>(value, (int)length).ToArray();
    }

    /// <summary>Removes an attribute; ENODATA where it is not set.</summary>
    [SkipLocalsInit]
    public static void Remove(SafeFileHandle directory, PathName name, PathName attribute)
    {
        byte* entry = stackalloc byte[PathName.MaximumLength];
        byte* key = stackalloc byte[MaximumName];
        name.TerminateName(entry);
        TerminateAttribute(attribute, key);
        int errno = Errno.ENOSYS;
        if (!s_lacksAtCalls)
        {
            nint result = NativeFiles.RemoveXattrAt(NativeFiles.SYS_removexattrat, directory, entry, NativeFiles.AT_SYMLINK_NOFOLLOW, key);
            errno = result < 0 ? NoteError() : 0;
        }

        if (errno == Errno.ENOSYS)
        {
            byte* path = stackalloc byte[ProcEntryLength];
            errno = NativeFiles.LRemoveXattr(FormatProcEntry(directory, entry, path), key) < 0 ? Marshal.GetLastPInvokeError() : 0;
        }

        Check(errno, "removexattr", name, attribute);
    }

    private static List<byte[]> Names(ReadOnlySpan<byte> list)
    {
        var names = new List<byte[]>();
        while (!list.IsEmpty)
        {
            int end = list.IndexOf((byte)0);
            names.Add(list[..end].ToArray());
            list = list[(end + 1)..];
        }

        return names;
    }

    private const int ProcEntryLength = Descriptors.MaximumProcPath + PathName.MaximumLength;

    private static byte* FormatProcEntry(SafeFileHandle directory, byte* entry, byte* path)
    {
        int length = Descriptors.FormatProcPath(directory, new Span<byte>(path, Descriptors.MaximumProcPath));
        path[length] = (byte)'/';
        MemoryMarshal.CreateReadOnlySpanFromNullTerminated(entry).CopyTo(new Span<byte>(path + length + 1, PathName.MaximumLength));
        path[length + 1 + MemoryMarshal.CreateReadOnlySpanFromNullTerminated(entry).Length] = 0;
        return path;
    }

    private static void TerminateAttribute(PathName attribute, byte* key)
    {
        if (attribute.Bytes.Length >= MaximumName || attribute.Bytes.Contains((byte)0))
        {
            throw new KernelException($"extended attribute name \"{attribute.ToString()}\"", Errno.ERANGE);
        }

        attribute.Bytes.CopyTo(new Span<byte>(key, MaximumName));
        key[attribute.Bytes.Length] = 0;
    }

    private static int NoteError()
    {
        int errno = Marshal.GetLastPInvokeError();
        s_lacksAtCalls |= errno == Errno.ENOSYS;
        return errno;
    }

    private static void Check(int errno, string operation, PathName name, PathName attribute)
    {
        if (errno != 0)
        {
            throw new KernelException($"{operation} \"{name.ToString()}\" {attribute.ToString()}", errno);
        }
    }
}
