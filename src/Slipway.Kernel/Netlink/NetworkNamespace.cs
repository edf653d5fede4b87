using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Netlink;

/// <summary>A network namespace held by a descriptor: it exists as long as the descriptor, a process or a mount does.</summary>
public sealed class NetworkNamespace : IDisposable
{
    private NetworkNamespace(SafeFileHandle descriptor) => Descriptor = descriptor;

    /// <summary>Owned by this object; close-on-exec.</summary>
    public SafeFileHandle Descriptor { get; }

    /// <summary>The namespace of the calling thread.</summary>
    public static NetworkNamespace OfThisThread() => Open("/proc/thread-self/ns/net");

    /// <summary>The namespace of a process.</summary>
    /// <exception cref="IOException">There is no such process.</exception>
    public static NetworkNamespace OfProcess(int pid) => Open($"/proc/{pid}/ns/net");

    /// <summary>Takes over a descriptor of a namespace.</summary>
    public static NetworkNamespace FromDescriptor(SafeFileHandle descriptor) => new(descriptor);

    /// <summary>
    /// Makes a new namespace and moves the calling thread into it. For a thread of one's own only: see <see cref="NamespaceThread"/>.
    /// </summary>
    internal static NetworkNamespace Unshare()
    {
        if (NetlinkNative.Unshare(NetlinkNative.CLONE_NEWNET) < 0)
        {
            throw new KernelException("unshare CLONE_NEWNET", Marshal.GetLastPInvokeError());
        }

        return OfThisThread();
    }

    /// <summary>Moves the calling thread into this namespace. For a thread of one's own only.</summary>
    internal void Enter()
    {
        if (NetlinkNative.SetNamespace(Descriptor, NetlinkNative.CLONE_NEWNET) < 0)
        {
            throw new KernelException("setns CLONE_NEWNET", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>A second descriptor of the namespace, which the caller owns.</summary>
    public SafeFileHandle Duplicate()
    {
        int copy = NetlinkNative.DuplicateDescriptor(Descriptor, NetlinkNative.F_DUPFD_CLOEXEC, 3);
        return copy >= 0 ? new SafeFileHandle(copy, ownsHandle: true) : throw new KernelException("fcntl F_DUPFD_CLOEXEC", Marshal.GetLastPInvokeError());
    }

    public void Dispose() => Descriptor.Dispose();

    private static NetworkNamespace Open(string path) => new(File.OpenHandle(path));
}
