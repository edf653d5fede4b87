using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Mounts;

/// <summary>
/// A file as a block device (loop(4)). The kernel lets go of the file with the last that has the device open or mounted (LO_FLAGS_AUTOCLEAR), however
/// a process ends: nothing has to be detached.
/// </summary>
public sealed class LoopDevice : IDisposable
{
    private const int Attempts = 64;

    private readonly SafeFileHandle _device;

    private LoopDevice(SafeFileHandle device, HostPath path) => (_device, Path) = (device, path);

    /// <summary>Of the device; valid as long as this is not disposed or the device is mounted.</summary>
    public HostPath Path { get; }

    /// <summary>
    /// The device that has the file, or a free one that gets it. One file must not have two devices: both could be mounted, each with a cache of its own,
    /// and would destroy what the other writes; of one device every mount is the same file system. One caller at a time for a file.
    /// </summary>
    /// <param name="file">Open for reading and writing.</param>
    /// <exception cref="KernelException">The kernel has no loop devices, or there is no node for one.</exception>
    public static unsafe LoopDevice Attach(SafeFileHandle file)
    {
        if (Find(file) is { } attached)
        {
            return attached;
        }

        using SafeFileHandle control = new HostPath("/dev/loop-control").Open(OpenFlags.ReadWrite);
        for (int attempt = 1; ; attempt++)
        {
            int number = NativeFiles.Ioctl(control, LoopNative.LOOP_CTL_GET_FREE, null);
            if (number < 0)
            {
                throw new KernelException("find a free loop device", Marshal.GetLastPInvokeError());
            }

            HostPath path = PathOf(number);
            SafeFileHandle device = path.Open(OpenFlags.ReadWrite);
            LoopNative.LoopConfig config = new() { File = (uint)file.DangerousGetHandle() };
            config.Info.Flags = LoopNative.LO_FLAGS_AUTOCLEAR;
            if (NativeFiles.Ioctl(device, LoopNative.LOOP_CONFIGURE, &config) == 0)
            {
                GC.KeepAlive(file);
                return new LoopDevice(device, path);
            }

            int errno = Marshal.GetLastPInvokeError();
            device.Dispose();

            // Somebody else was given the same number.
            if (errno != Errno.EBUSY || attempt == Attempts)
            {
                throw new KernelException($"attach a file to {path}", errno);
            }
        }
    }

    public void Dispose() => _device.Dispose();

    /// <summary>The device that has the file; it stays attached at least until the answer is disposed.</summary>
    private static LoopDevice? Find(SafeFileHandle file)
    {
        FileStatus status = FileStatus.Of(file);
        using SafeFileHandle block = new HostPath("/sys/block").Open(OpenFlags.Directory);
        foreach (ListedEntry entry in new DirectoryListing(block))
        {
            string name = Encoding.UTF8.GetString(entry.Name);
            if (!name.StartsWith("loop", StringComparison.Ordinal) || !int.TryParse(name.AsSpan(4), NumberStyles.None, CultureInfo.InvariantCulture, out int number) || !IsAttached(name))
            {
                continue;
            }

            HostPath path = PathOf(number);
            if (path.TryOpen(OpenFlags.ReadWrite) is not { } device)
            {
                continue;
            }

            if (Holds(device, status))
            {
                return new LoopDevice(device, path);
            }

            device.Dispose();
        }

        return null;
    }

    private static bool IsAttached(string name)
    {
        using SafeFileHandle? backing = (new HostPath("/sys/block") / name / "loop" / "backing_file").TryOpen(OpenFlags.Path);
        return backing is not null;
    }

    private static unsafe bool Holds(SafeFileHandle device, in FileStatus file)
    {
        LoopNative.LoopInfo info;
        return NativeFiles.Ioctl(device, LoopNative.LOOP_GET_STATUS64, &info) == 0 && info.Inode == file.Inode && info.Device == file.Device.Encoded;
    }

    private static HostPath PathOf(int number) => new(string.Create(CultureInfo.InvariantCulture, $"/dev/loop{number}"));
}

/// <summary>include/uapi/linux/loop.h.</summary>
internal static class LoopNative
{
    internal const nuint LOOP_GET_STATUS64 = 0x4c05;
    internal const nuint LOOP_CONFIGURE = 0x4c0a;
    internal const nuint LOOP_CTL_GET_FREE = 0x4c82;
    internal const uint LO_FLAGS_AUTOCLEAR = 4;

    /// <summary>struct loop_info64, 232 bytes; names and an unused key follow the flags.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 232)]
    internal struct LoopInfo
    {
        internal ulong Device;
        internal ulong Inode;
        private ulong _specialDevice;
        private ulong _offset;
        private ulong _sizeLimit;
        private uint _number;
        private uint _encryption;
        private uint _keySize;
        internal uint Flags;
    }

    /// <summary>struct loop_config, 304 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 304)]
    internal struct LoopConfig
    {
        internal uint File;
        private uint _blockSize;
        internal LoopInfo Info;
    }
}
