using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>
/// A plan bound to this process: addresses, descriptor numbers and the clone arguments, in memory shared with the child, so that the
/// child's results are seen here. The mapping is reused from plan to plan, and so is the <see cref="LaunchHost"/> that has it. Not thread-safe: one launching
/// thread owns it.
/// </summary>
/// <remarks>
/// Layout: <see cref="PlanImageHeader"/>, entries, data. The first entries are the launcher's own: they close every descriptor
/// of this process that the plan does not name, so that a child that is stuck in a mount holds nobody else's pipes open.
/// </remarks>
internal sealed unsafe class PlanImage(HostParent parent) : IDisposable
{
    private const int KeptBytes = 256 * 1024;
    private const int SIGKILL = 9;

    private readonly Lock _childGate = new();
    private byte* _base;
    private nuint _capacity;
    private nuint _mapped;
    private LaunchHost? _host;
    private int _ownEntries;
    private int _entryCount;

    /// <summary>Who clones for this image; null before the first plan.</summary>
    internal LaunchHost? Host => _host;

    /// <summary>What the host reads; not before the first plan.</summary>
    internal ref PlanImageHeader Header => ref *(PlanImageHeader*)_base;

    /// <summary>Binds <paramref name="plan"/>. All descriptors must stay open until <see cref="Run"/> has returned.</summary>
    /// <param name="descriptors">By slot.</param>
    /// <param name="streams">Descriptors of stdin, stdout and stderr.</param>
    /// <exception cref="InvalidDataException">The plan would let a descriptor survive execve, or does not end with it.</exception>
    public void Bind(PlanDocument plan, ReadOnlySpan<int> descriptors, ReadOnlySpan<int> streams)
    {
        PlanRules.Check(plan);
        if (descriptors.Length != plan.DescriptorCount)
        {
            throw new InvalidDataException($"launch plan with {plan.DescriptorCount} descriptors, but {descriptors.Length} came with it");
        }

        Span<int> kept = [.. descriptors, .. streams];
        kept.Sort();
        if (kept[0] < 3)
        {
            throw new InvalidDataException("a descriptor of a launch plan is a standard stream of the launcher");
        }

        ReadOnlySpan<PlanDocument.Step> steps = plan.Steps;
        ReadOnlySpan<byte> data = plan.Data;
        int maxEntries = kept.Length + 1 + steps.Length;
        Reserve((nuint)(sizeof(PlanImageHeader) + (maxEntries * sizeof(PlanImageEntry)) + data.Length));

        var entries = new Span<PlanImageEntry>(_base + sizeof(PlanImageHeader), maxEntries);
        byte* dataBase = (byte*)Unsafe.AsPointer(ref entries[0]) + (maxEntries * sizeof(PlanImageEntry));
        _ownEntries = AddGaps(kept, entries);
        _entryCount = _ownEntries + steps.Length;
        entries = entries[.._entryCount];

        for (int i = 0; i < steps.Length; i++)
        {
            ref PlanImageEntry entry = ref entries[_ownEntries + i];
            entry = new PlanImageEntry
            {
                Number = steps[i].Number,
                Tolerate = steps[i].Tolerate,
                TolerateAlso = steps[i].TolerateAlso,
                Result = PlanImageEntry.Pending,
            };
            for (int j = 0; j < 6; j++)
            {
                ulong value = steps[i].Values[j];
                switch ((PlanArgumentKind)steps[i].Kinds[j])
                {
                    case PlanArgumentKind.Data:
                        value = (ulong)dataBase + value;
                        break;
                    case PlanArgumentKind.Descriptor:
                        value = (ulong)descriptors[(int)value];
                        break;
                    case PlanArgumentKind.StandardStream:
                        value = (ulong)streams[(int)value];
                        break;
                    case PlanArgumentKind.Result:
                        value = (ulong)EntryOffset(_ownEntries + (int)value) + PlanImageEntry.ResultOffset;
                        entry.ResultMask |= 1u << j;
                        break;
                }

                entry.Arguments[j] = value;
            }
        }

        data.CopyTo(new Span<byte>(dataBase, data.Length));
        foreach (uint relocation in plan.Relocations)
        {
            *(ulong*)(dataBase + relocation) += (ulong)dataBase;
        }

        // Field by field: the host may read its turn and its parent at any time, and leaves where the parent is not that one.
        ref PlanImageHeader header = ref Header;
        (header.Pidfd, header.Failed, header.Cloned, header.Entered) = (0, 0, 0, 0);
        header.First = (ulong)(_base + sizeof(PlanImageHeader));
        header.End = header.First + ((ulong)_entryCount * (ulong)sizeof(PlanImageEntry));
        header.Clone = new CloneArguments
        {
            // Without CLONE_VM: the child's memory is a copy of the host's, nothing of this process is ever shared with a container but this image.
            // With CLONE_VFORK: the host goes on when the child has executed or ended, so success is known without a pipe.
            // With CLONE_PARENT: the child is this process's, to wait for; it ends with SIGCHLD as the host does (clone(2)).
            Flags = (plan.CloneFlags & ~CloneArguments.CLONE_VM) | CloneArguments.CLONE_VFORK | CloneArguments.CLONE_PIDFD | CloneArguments.CLONE_PARENT
                | CloneArguments.CLONE_CLEAR_SIGHAND | (plan.CgroupSlot is null ? 0 : CloneArguments.CLONE_INTO_CGROUP),
            Pidfd = (ulong)_base,
            Cgroup = plan.CgroupSlot is int cgroup ? (ulong)descriptors[cgroup] : 0,
        };
    }

    /// <summary>Clones and waits until the child has executed its program or ended. Blocks as long as the plan's slowest call.</summary>
    /// <param name="pidNamespace">Descriptor of the pid namespace that the child is to be in, or null for what the plan's flags say.</param>
    /// <param name="ownPidNamespace">Descriptor of this process's.</param>
    public LaunchOutcome Run(PlanDocument plan, int? pidNamespace, int ownPidNamespace)
    {
        var header = (PlanImageHeader*)_base;
        (header->PidNamespace, header->OwnPidNamespace) = (pidNamespace ?? -1, ownPidNamespace);
        if (!_host!.Serve(header))
        {
            return EndWithHost(plan);
        }

        if (header->Entered < 0)
        {
            return Refused(plan, "setns of the launch host's children to the pid namespace", (int)-header->Entered);
        }

        long pid = header->Cloned;
        if (pid < 0)
        {
            return Refused(plan, "clone3", (int)-pid);
        }

        var pidfd = new SafeFileHandle((nint)(int)header->Pidfd, ownsHandle: true);
        var entries = new ReadOnlySpan<PlanImageEntry>(_base + sizeof(PlanImageHeader), _entryCount);

        // execve does not return, so its result stays pending; a result that is pending before it means that the child was killed there.
        int reached = _ownEntries;
        while (reached < _entryCount - 1 && entries[reached].Result != PlanImageEntry.Pending)
        {
            reached++;
        }

        int errno = 0;
        if (header->Failed != 0)
        {
            reached = (int)(header->Failed - (ulong)sizeof(PlanImageHeader)) / sizeof(PlanImageEntry);
            errno = (int)-entries[reached].Result;
        }
        else if (reached == _entryCount - 1)
        {
            return new LaunchOutcome((int)pid, pidfd, null);
        }

        ProcessStatus status = Pidfd.Wait(pidfd);
        lock (_childGate)
        {
            header->Pidfd = 0;
            pidfd.Dispose();
        }

        int step = reached - _ownEntries;
        return step < 0
            ? new LaunchOutcome(0, null, new PlanFailure(0, plan.StepCount, "close_range", errno, status.Signal))
            : new LaunchOutcome(0, null, new PlanFailure(step + 1, plan.StepCount, plan.Description(step), errno, status.Signal));
    }

    /// <summary>
    /// Signals the child of a <see cref="Run"/> that is under way on another thread; nothing where it has not been cloned yet. The kernel
    /// stores the pidfd before the child runs (clone3(2), CLONE_PIDFD).
    /// </summary>
    public void KillChild(int signal)
    {
        lock (_childGate)
        {
            int pidfd = _base == null ? 0 : (int)Volatile.Read(ref ((PlanImageHeader*)_base)->Pidfd);
            if (pidfd > 0)
            {
                // It may have ended already, which is as good.
                _ = ProcessNative.pidfd_send_signal(pidfd, signal);
            }
        }
    }

    public void Dispose()
    {
        _host?.Dispose();
        _host = null;
        if (_base != null)
        {
            _ = ProcessNative.munmap(_base, _mapped);
            _base = null;
            _capacity = 0;
        }
    }

    private static LaunchOutcome Refused(PlanDocument plan, string operation, int errno) => new(0, null, new PlanFailure(0, plan.StepCount, operation, errno, 0));

    /// <summary>Who killed the host may not have reached the child: nothing of a launch that is reported as failed may stay. The next order gets another host.</summary>
    private LaunchOutcome EndWithHost(PlanDocument plan)
    {
        ProcessStatus ended = _host!.Wait();
        KillChild(SIGKILL);
        lock (_childGate)
        {
            var header = (PlanImageHeader*)_base;
            if (header->Pidfd > 0)
            {
                using var pidfd = new SafeFileHandle((nint)(int)header->Pidfd, ownsHandle: true);
                Pidfd.Wait(pidfd);
                header->Pidfd = 0;
            }

            Dispose();
        }

        return new LaunchOutcome(0, null, new PlanFailure(0, plan.StepCount, $"the launch host has ended with exit code {ended.ExitCode}", 0, ended.Signal));
    }

    private static int EntryOffset(int index) => sizeof(PlanImageHeader) + (index * sizeof(PlanImageEntry));

    /// <summary>close_range for each gap between the descriptors the plan names. Their result is set: they cannot fail on valid ranges.</summary>
    private static int AddGaps(ReadOnlySpan<int> kept, Span<PlanImageEntry> entries)
    {
        int count = 0;
        uint first = 3;
        for (int i = 0; i <= kept.Length; i++)
        {
            uint end = i < kept.Length ? (uint)kept[i] : uint.MaxValue;
            if (end > first)
            {
                ref PlanImageEntry entry = ref entries[count++];
                entry = new PlanImageEntry { Number = (ulong)SystemCalls.Number(SystemCall.CloseRange, RuntimeInformation.ProcessArchitecture) };
                entry.Arguments[0] = first;
                entry.Arguments[1] = i < kept.Length ? end - 1 : end;
            }

            first = end + 1;
        }

        return count;
    }

    private void Reserve(nuint length)
    {
        if (_capacity >= length && (_capacity <= KeptBytes || length > KeptBytes))
        {
            return;
        }

        Dispose();
        nuint page = (nuint)Environment.SystemPageSize;
        nuint capacity = Math.Max((length + page - 1) & ~(page - 1), 16 * page);
        nuint mapped = capacity + ((LaunchHost.PreparationBytes + page - 1) & ~(page - 1));
        void* mapping = ProcessNative.mmap(null, mapped, ProcessNative.PROT_READ | ProcessNative.PROT_WRITE, ProcessNative.MAP_SHARED | ProcessNative.MAP_ANONYMOUS, -1, 0);
        if (mapping == ProcessNative.MAP_FAILED)
        {
            throw new KernelException($"mmap of {mapped} bytes for a launch plan", Marshal.GetLastPInvokeError());
        }

        _base = (byte*)mapping;
        (_capacity, _mapped) = (capacity, mapped);
        try
        {
            _host = parent.Start((PlanImageHeader*)_base, new MemoryArea((nuint)_base, (nuint)_base + mapped, ""), _base + capacity);
        }
        catch
        {
            Dispose();
            throw;
        }
    }
}
