using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;

namespace Slipway.Kernel.Users;

/// <summary>
/// A child that does nothing but be in new namespaces until their descriptors have been opened. It shares this process' memory (CLONE_VM), which
/// makes it cheap, and runs the few instructions of <see cref="LaunchStub"/> only, which use neither stack nor heap; nothing of a container ever
/// runs in it.
/// </summary>
internal sealed unsafe class NamespaceHolder : IDisposable
{
    public const ulong CLONE_NEWUSER = 0x10000000;

    private const ulong CLONE_FILES = 0x400;
    private const int AT_FDCWD = -100;
    private const int SIGKILL = 9;
    private const int PR_SET_PDEATHSIG = 1;

    // Should this process end just before the child asks to be killed with it, the child is gone after so many seconds.
    private const long LifetimeSeconds = 10;

    private readonly void* _page;
    private readonly SafeFileHandle _pidfd;

    private NamespaceHolder(void* page, int pid, SafeFileHandle pidfd)
    {
        _page = page;
        Pid = pid;
        _pidfd = pidfd;
    }

    public int Pid { get; }

    /// <exception cref="KernelException">The kernel refused.</exception>
    public static NamespaceHolder Start(ulong namespaces)
    {
        void* page = Map();
        PlanImageEntry* entries = Entries(page);
        long* lifetime = (long*)(entries + 2); // struct timespec
        lifetime[0] = LifetimeSeconds;
        entries[0].Number = Number(SystemCall.Prctl);
        entries[0].Arguments[0] = PR_SET_PDEATHSIG;
        entries[0].Arguments[1] = SIGKILL;
        entries[1].Number = Number(SystemCall.Ppoll);
        entries[1].Arguments[2] = (ulong)lifetime;
        try
        {
            (int pid, SafeFileHandle pidfd) = Clone(page, 2, namespaces);
            return new NamespaceHolder(page, pid, pidfd);
        }
        catch (KernelException)
        {
            Unmap(page);
            throw;
        }
    }

    /// <summary>
    /// Makes a network namespace inside a user namespace that exists: a child enters that, makes it, and opens it in the table of descriptors that it
    /// shares with this process (CLONE_FILES). The calling thread waits for its end.
    /// </summary>
    /// <exception cref="KernelException">The kernel refused.</exception>
    public static SafeFileHandle MakeNetwork(SafeFileHandle users)
    {
        void* page = Map();
        bool added = false;
        try
        {
            users.DangerousAddRef(ref added);
            PlanImageEntry* entries = Entries(page);
            byte* path = (byte*)(entries + 3);
            "/proc/self/ns/net\0"u8.CopyTo(new Span<byte>(path, 32));
            entries[0].Number = Number(SystemCall.Setns);
            entries[0].Arguments[0] = (ulong)users.DangerousGetHandle();
            entries[0].Arguments[1] = CLONE_NEWUSER;
            entries[1].Number = Number(SystemCall.Unshare);
            entries[1].Arguments[0] = CloneArguments.CLONE_NEWNET;
            entries[2].Number = Number(SystemCall.OpenAt);
            entries[2].Arguments[0] = unchecked((ulong)(long)AT_FDCWD);
            entries[2].Arguments[1] = (ulong)path;
            entries[2].Arguments[2] = (ulong)OpenFlags.CloseOnExec.ToNative();
            (_, SafeFileHandle pidfd) = Clone(page, 3, CLONE_FILES | CloneArguments.CLONE_VFORK);
            using (pidfd)
            {
                Pidfd.Wait(pidfd);
            }

            ulong failed = ((PlanImageHeader*)page)->Failed;
            return failed == 0
                ? new SafeFileHandle((nint)entries[2].Result, ownsHandle: true)
                : throw new KernelException("make a network namespace in a user namespace", (int)-((PlanImageEntry*)((byte*)page + failed))->Result);
        }
        finally
        {
            Unmap(page);
            if (added)
            {
                users.DangerousRelease();
            }
        }
    }

    /// <summary>Ends and reaps the child, and only then frees the memory it runs on.</summary>
    public void Dispose()
    {
        Pidfd.SendSignal(_pidfd, SIGKILL);
        Pidfd.Wait(_pidfd);
        _pidfd.Dispose();
        Unmap(_page);
    }

    private static (int Pid, SafeFileHandle Pidfd) Clone(void* page, int entries, ulong flags)
    {
        ref PlanImageHeader header = ref *(PlanImageHeader*)page;
        header.First = (ulong)Entries(page);
        header.End = (ulong)(Entries(page) + entries);
        header.Clone = new CloneArguments
        {
            // Without an exit signal: whoever else waits for children in this process is not told.
            Flags = flags | CloneArguments.CLONE_VM | CloneArguments.CLONE_PIDFD | CloneArguments.CLONE_CLEAR_SIGHAND,
            Pidfd = (ulong)page,
        };
        long pid = LaunchStub.EntryPoint(page);
        if (pid < 0)
        {
            throw new KernelException("clone3 for a namespace", (int)-pid);
        }

        return ((int)pid, new SafeFileHandle((nint)(int)header.Pidfd, ownsHandle: true));
    }

    private static PlanImageEntry* Entries(void* page) => (PlanImageEntry*)((byte*)page + sizeof(PlanImageHeader));

    private static void* Map()
    {
        void* page = ProcessNative.mmap(
            null, (nuint)Environment.SystemPageSize, ProcessNative.PROT_READ | ProcessNative.PROT_WRITE, ProcessNative.MAP_PRIVATE | ProcessNative.MAP_ANONYMOUS, -1, 0);
        return page != ProcessNative.MAP_FAILED ? page : throw new KernelException("mmap for a namespace", Marshal.GetLastPInvokeError());
    }

    private static void Unmap(void* page) => _ = ProcessNative.munmap(page, (nuint)Environment.SystemPageSize);

    private static ulong Number(SystemCall call) => (ulong)SystemCalls.Number(call, RuntimeInformation.ProcessArchitecture);
}
