using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>
/// A process without memory of its own that clones the children of one launching thread. clone3 copies the caller's page tables and execve tears the
/// copy down; for a process like this one that was half of a launch, and every page that was written meanwhile cost a fault. A host has the stub,
/// the plan's image and one stack. What is cloned is a child of this process (CLONE_PARENT) and has no more of its memory than that.
/// </summary>
/// <remarks>
/// It shares this process's descriptors (CLONE_FILES), as a thread does, so that a plan's descriptors and the pidfd of the child need not be handed over.
/// It ends with the thread that started it (PR_SET_PDEATHSIG), and so must not outlive its usefulness there: that is <see cref="HostParent"/>.
/// </remarks>
internal sealed unsafe class LaunchHost : IDisposable
{
    private const int SIGKILL = 9;
    private const int SIG_SETMASK = 2;
    private const int KernelSignalSetSize = 8;
    private const int PR_SET_PDEATHSIG = 1;
    private const int PR_SET_NAME = 15;
    private const int MaxEntries = 24;

    private readonly SafeFileHandle _pidfd;

    private LaunchHost(int pid, SafeFileHandle pidfd)
    {
        Pid = pid;
        _pidfd = pidfd;
    }

    public int Pid { get; }

    /// <summary>Bytes that <see cref="Start"/> needs for what the host does first.</summary>
    public static nuint PreparationBytes => (nuint)(sizeof(PlanImageHeader) + (MaxEntries * sizeof(PlanImageEntry)) + KernelSignalSetSize + 16);

    private static ReadOnlySpan<byte> Name => "slipway-launch\0"u8;

    /// <summary>Starts a host for the image at <paramref name="header"/>. The calling thread becomes the parent of the host and of what it clones.</summary>
    /// <param name="image">The mapping with the header; shared.</param>
    /// <param name="preparation">A place in it for <see cref="PreparationBytes"/>, which stays the host's.</param>
    /// <exception cref="KernelException">No process can be had.</exception>
    public static LaunchHost Start(PlanImageHeader* header, MemoryArea image, byte* preparation)
    {
        var own = (PlanImageHeader*)preparation;
        var entries = new Span<PlanImageEntry>(own + 1, MaxEntries);
        byte* mask = (byte*)(own + 1) + (MaxEntries * sizeof(PlanImageEntry));
        byte* name = mask + KernelSignalSetSize;
        new Span<byte>(mask, KernelSignalSetSize).Fill(0xff);
        Name.CopyTo(new Span<byte>(name, Name.Length));

        // No handler of this process is mapped there; what comes for the process group is not meant for it. Plans set the mask of children.
        int count = 0;
        entries[count++] = Call(SystemCall.RtSigprocmask, SIG_SETMASK, (ulong)mask, 0, KernelSignalSetSize);
        entries[count++] = Call(SystemCall.Prctl, PR_SET_PDEATHSIG, SIGKILL);
        entries[count++] = Call(SystemCall.Prctl, PR_SET_NAME, (ulong)name);
        foreach (MemoryArea hole in Unneeded(image))
        {
            entries[count++] = Call(SystemCall.Munmap, hole.Start, hole.End - hole.Start);
        }

        *own = new PlanImageHeader
        {
            Serves = (ulong)header,
            First = (ulong)(own + 1),
            End = (ulong)(own + 1) + ((ulong)count * (ulong)sizeof(PlanImageEntry)),
            Clone = new CloneArguments
            {
                Flags = CloneArguments.CLONE_FILES | CloneArguments.CLONE_PIDFD | CloneArguments.CLONE_CLEAR_SIGHAND,
                Pidfd = (ulong)own,
                ExitSignal = CloneArguments.SIGCHLD,
            },
        };
        *header = new PlanImageHeader { Parent = Environment.ProcessId };
        long pid = LaunchStub.EntryPoint(own);
        return pid > 0
            ? new LaunchHost((int)pid, new SafeFileHandle((nint)(int)own->Pidfd, ownsHandle: true))
            : throw new KernelException("clone3 of a launch host", (int)-pid);
    }

    /// <summary>
    /// Gives the host its turn and waits for its answer: until the child has executed its program or ended. False where the host has ended instead, which
    /// nothing but a kill or a broken namespace makes it do.
    /// </summary>
    public bool Serve(PlanImageHeader* header)
    {
        Volatile.Write(ref header->Turn, PlanImageHeader.Order);
        Futex.Wake(&header->Turn);
        while (Volatile.Read(ref header->Turn) == PlanImageHeader.Order)
        {
            if (!Futex.Wait(&header->Turn, PlanImageHeader.Order, TimeSpan.FromSeconds(1)) && Pidfd.HasEnded(_pidfd))
            {
                return Volatile.Read(ref header->Turn) != PlanImageHeader.Order;
            }
        }

        return true;
    }

    /// <summary>How it has ended; it serves nobody any more.</summary>
    public ProcessStatus Wait()
    {
        using (_pidfd)
        {
            return Pidfd.Wait(_pidfd);
        }
    }

    public void Dispose()
    {
        if (!_pidfd.IsClosed)
        {
            Pidfd.SendSignal(_pidfd, SIGKILL);
            Wait();
        }
    }

    /// <summary>All but the stub, the image and the stack of this thread: the kernel writes to the latter when the host is preempted (rseq(2)).</summary>
    private static List<MemoryArea> Unneeded(MemoryArea image)
    {
        byte local = 0;
        nuint stack = (nuint)(&local);
        nuint stub = (nuint)LaunchStub.EntryPoint;
        List<MemoryArea> areas = MemoryMap.OfThisProcess();
        areas.RemoveAll(area => area.Name == "[vsyscall]");
        IEnumerable<MemoryArea> kept = areas.Where(area => area.IsKernels || area.Contains(stack));
        List<MemoryArea> unneeded = MemoryMap.Around([.. kept, image, new MemoryArea(stub, stub + LaunchStub.MappedBytes, "")], areas);
        return unneeded.Count <= MaxEntries - 3 ? unneeded : throw new InvalidOperationException($"{unneeded.Count} holes around what a launch host needs");
    }

    private static PlanImageEntry Call(SystemCall call, ulong first, ulong second, ulong third = 0, ulong fourth = 0)
    {
        var entry = new PlanImageEntry { Number = (ulong)SystemCalls.Number(call, RuntimeInformation.ProcessArchitecture), Result = PlanImageEntry.Pending };
        entry.Arguments[0] = first;
        entry.Arguments[1] = second;
        entry.Arguments[2] = third;
        entry.Arguments[3] = fourth;
        return entry;
    }
}
