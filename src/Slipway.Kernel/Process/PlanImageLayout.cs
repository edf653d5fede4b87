using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>The head of a plan's image. The launch stub knows these offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PlanImageHeader
{
    /// <summary>0x00: where clone3 stores the pidfd.</summary>
    public long Pidfd;

    /// <summary>0x08: address of the header whose turns the child serves when it has walked its entries; 0 for a child that is to execute a program.</summary>
    public ulong Serves;

    /// <summary>0x10: address of the first entry.</summary>
    public ulong First;

    /// <summary>0x18: address after the last entry.</summary>
    public ulong End;

    /// <summary>0x20: offset from the header of the entry that failed, stored by the child; 0 where none did.</summary>
    public ulong Failed;

    /// <summary>0x28.</summary>
    public CloneArguments Clone;

    /// <summary>0x80: a futex(2) word: <see cref="Order"/> tells the host to clone, <see cref="Answer"/> that it has.</summary>
    public uint Turn;

    /// <summary>0x84: descriptor of the pid namespace that the child is to be in, or -1 for that of <see cref="Clone"/>.</summary>
    public int PidNamespace;

    /// <summary>0x88: what clone3 returned to the host.</summary>
    public long Cloned;

    /// <summary>0x90: what setns of the host's children to <see cref="PidNamespace"/> returned.</summary>
    public long Entered;

    /// <summary>0x98: descriptor of the host's own pid namespace.</summary>
    public int OwnPidNamespace;

    /// <summary>0x9c: pid of the host's parent. A host that has another by now is an orphan and leaves.</summary>
    public int Parent;

    public const uint Order = 1;
    public const uint Answer = 2;
}

/// <summary>struct clone_args (linux/sched.h), CLONE_ARGS_SIZE_VER2.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CloneArguments
{
    public const ulong CLONE_NEWPID = 0x20000000;
    public const ulong CLONE_NEWNET = 0x40000000;
    public const ulong CLONE_VM = 0x100;
    public const ulong CLONE_FILES = 0x400;
    public const ulong CLONE_PIDFD = 0x1000;
    public const ulong CLONE_VFORK = 0x4000;
    public const ulong CLONE_PARENT = 0x8000;
    public const ulong CLONE_CLEAR_SIGHAND = 0x100000000;
    public const ulong CLONE_INTO_CGROUP = 0x200000000;
    public const ulong SIGCHLD = 17;

    public ulong Flags;
    public ulong Pidfd;
    public ulong ChildTid;
    public ulong ParentTid;
    public ulong ExitSignal;
    public ulong Stack;
    public ulong StackSize;
    public ulong Tls;
    public ulong SetTid;
    public ulong SetTidSize;
    public ulong Cgroup;
}

/// <summary>One system call, bound. The launch stub knows these offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PlanImageEntry
{
    /// <summary>What <see cref="Result"/> holds before the call has returned: no system call returns it.</summary>
    public const long Pending = long.MinValue;

    /// <summary>Offset of <see cref="Result"/>.</summary>
    public const ulong ResultOffset = 0x38;

    /// <summary>0x00.</summary>
    public ulong Number;

    /// <summary>0x08.</summary>
    public ArgumentArray Arguments;

    /// <summary>0x38: stored by the child.</summary>
    public long Result;

    /// <summary>0x40: bit i says that argument i is the offset from the header of a <see cref="Result"/>.</summary>
    public uint ResultMask;

    /// <summary>0x44.</summary>
    public uint Tolerate;

    /// <summary>0x48.</summary>
    public uint TolerateAlso;

    /// <summary>0x4c; the next entry is at 0x50.</summary>
    public uint Reserved;

    [InlineArray(6)]
    public struct ArgumentArray
    {
        private ulong _first;
    }
}
