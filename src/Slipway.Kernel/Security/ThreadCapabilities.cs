using System.Runtime.InteropServices;

namespace Slipway.Kernel.Security;

/// <summary>The effective capabilities of the calling thread: each has its own (capabilities(7)).</summary>
public static unsafe partial class ThreadCapabilities
{
    /// <summary>A bit for each, as of <see cref="Capability.Mask"/>.</summary>
    public static ulong Effective
    {
        get
        {
            Header header = new() { Version = Header.Version3 };
            Data* data = stackalloc Data[2];
            return capget(&header, data) == 0
                ? data[0].Effective | ((ulong)data[1].Effective << 32)
                : throw new KernelException("capget", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Takes capabilities out of the effective set, for as long as the thread lives.</summary>
    public static void Lower(ulong mask)
    {
        ulong effective = Effective;
        if ((effective & mask) != 0 && TrySetEffective(effective & ~mask) is var errno and not 0)
        {
            throw new KernelException("capset", errno);
        }
    }

    /// <returns>0 or an error number.</returns>
    internal static int TrySetEffective(ulong effective)
    {
        Header header = new() { Version = Header.Version3 };
        Data* data = stackalloc Data[2];
        if (capget(&header, data) != 0)
        {
            return Marshal.GetLastPInvokeError();
        }

        (data[0].Effective, data[1].Effective) = ((uint)effective, (uint)(effective >> 32));
        return capset(&header, data) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int capget(Header* header, Data* data);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int capset(Header* header, Data* data);

    /// <summary>struct __user_cap_header_struct; pid 0 is the calling thread.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public const uint Version3 = 0x20080522;

        public uint Version;
        public int Pid;
    }

    /// <summary>struct __user_cap_data_struct: 32 capabilities.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Data
    {
        public uint Effective;
        public uint Permitted;
        public uint Inheritable;
    }
}
