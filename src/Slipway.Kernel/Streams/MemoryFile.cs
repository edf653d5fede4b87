using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Streams;

/// <summary>A file without a name (memfd_create(2)), to hand bytes of any length to another process.</summary>
public static class MemoryFile
{
    // Linux 6.3: says that the file is to be executable, whatever the sysctl vm.memfd_noexec; before, EINVAL.
    private const uint MFD_EXEC = 0x10;
    private const uint MFD_ALLOW_SEALING = 2;
    private const int F_ADD_SEALS = 1033;
    private const int AllSeals = 0xF; // F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE

    /// <param name="name">Seen in /proc/PID/fd only.</param>
    public static SafeFileHandle Create(string name, ReadOnlySpan<byte> content)
    {
        SafeFileHandle file = Open(name, 0, out int errno) ?? throw new KernelException($"memfd_create \"{name}\"", errno);
        Fill(file, name, content);
        return file;
    }

    /// <summary>A program, to be executed by its descriptor; nobody can change it any more.</summary>
    public static SafeFileHandle CreateExecutable(string name, ReadOnlySpan<byte> content)
    {
        SafeFileHandle file = Open(name, MFD_ALLOW_SEALING | MFD_EXEC, out int errno)
            ?? (errno == Errno.EINVAL ? Open(name, MFD_ALLOW_SEALING, out errno) : null)
            ?? throw new KernelException($"memfd_create \"{name}\"", errno);
        Fill(file, name, content);
        if (StreamNative.fcntl(file, F_ADD_SEALS, AllSeals) != 0)
        {
            errno = Marshal.GetLastPInvokeError();
            file.Dispose();
            throw new KernelException($"seal memfd \"{name}\"", errno);
        }

        return file;
    }

    private static SafeFileHandle? Open(string name, uint flags, out int errno)
    {
        int descriptor = StreamNative.memfd_create(name, StreamNative.MFD_CLOEXEC | flags);
        errno = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    private static void Fill(SafeFileHandle file, string name, ReadOnlySpan<byte> content)
    {
        while (!content.IsEmpty)
        {
            int written = DescriptorIO.Write(file, content);
            if (written < 0)
            {
                file.Dispose();
                throw new KernelException($"write of memfd \"{name}\"", -written);
            }

            content = content[written..];
        }
    }
}
