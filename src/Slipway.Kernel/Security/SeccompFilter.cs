using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Security;

/// <summary>What a filter does with a system call (seccomp(2)).</summary>
public readonly record struct SeccompAction(uint Value)
{
    public static SeccompAction KillThread => new(0);

    public static SeccompAction KillProcess => new(0x80000000);

    public static SeccompAction Trap => new(0x00030000);

    public static SeccompAction Notify => new(0x7FC00000);

    public static SeccompAction Log => new(0x7FFC0000);

    public static SeccompAction Allow => new(0x7FFF0000);

    /// <summary>The call fails with an error number.</summary>
    public static SeccompAction Error(ushort errno) => new(0x00050000u | errno);

    /// <summary>A tracer decides; it sees the number.</summary>
    public static SeccompAction Trace(ushort message) => new(0x7FF00000u | message);

    /// <summary>The call is carried out: by the kernel, or by a tracer that may emulate it.</summary>
    public bool CarriesOut => Value == Allow.Value || Value == Log.Value || (Value & 0xFFFF0000) == 0x7FF00000;
}

/// <summary>How an argument is compared (enum scmp_compare). Masked: argument &amp; first value = second value.</summary>
public enum SeccompComparison : uint
{
    NotEqual = 1,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    MaskedEqual,
}

/// <summary>A condition on an argument, 0 to 5.</summary>
public readonly record struct SeccompCondition(uint Argument, SeccompComparison Comparison, ulong Value, ulong SecondValue);

/// <summary>A filter under construction; compiled by libseccomp to the program that seccomp(2) takes.</summary>
public sealed unsafe class SeccompFilter : SafeHandleZeroOrMinusOneIsInvalid
{
    /// <summary>Size of struct sock_filter.</summary>
    public const int InstructionSize = 8;

    /// <summary>BPF_MAXINSNS: the kernel takes no longer program.</summary>
    public const int MaximumInstructions = 4096;

    private const uint NR_SCMP_ERROR = unchecked((uint)-1);
    private const uint SCMP_FLTATR_CTL_OPTIMIZE = 8;
    private const uint BinaryTree = 2;

    private readonly SeccompAction _defaultAction;
    private readonly SortedDictionary<uint, int> _lastCalls = [];

    /// <param name="defaultAction">For calls without a rule.</param>
    /// <param name="architectures">Names as in <c>SCMP_ARCH_…</c>, lower case: <c>x86_64</c>, <c>x32</c>, <c>aarch64</c>. Calls of any other kill the process. Empty: this machine's.</param>
    /// <exception cref="ArgumentException">An architecture is unknown.</exception>
    public SeccompFilter(SeccompAction defaultAction, IReadOnlyCollection<string> architectures)
        : base(ownsHandle: true)
    {
        _defaultAction = defaultAction;
        SetHandle(Libseccomp.Init(defaultAction.Value));
        if (IsInvalid)
        {
            throw new KernelException("make a seccomp filter", Errno.ENOMEM);
        }

        // The kernel runs the program for every system call number when it is installed (seccomp_cache_prepare), and later for each call that is
        // not simply allowed: a search instead of a list makes both several times cheaper. A library that cannot (before 2.5) makes the list.
        _ = Libseccomp.SetAttribute(handle, SCMP_FLTATR_CTL_OPTIMIZE, BinaryTree);

        uint native = Libseccomp.NativeArchitecture();
        if (architectures.Count == 0)
        {
            _lastCalls[native] = -1;
            return;
        }

        foreach (string name in architectures)
        {
            uint architecture = Libseccomp.ResolveArchitecture(name);
            if (architecture == 0)
            {
                Dispose();
                throw new ArgumentException($"unknown seccomp architecture \"{name}\"", nameof(architectures));
            }

            _lastCalls[architecture] = -1;
            int result = Libseccomp.AddArchitecture(handle, architecture);
            if (result is not (0 or -Errno.EEXIST))
            {
                Dispose();
                throw new KernelException($"add architecture {name} to a seccomp filter", -result);
            }
        }

        if (!_lastCalls.ContainsKey(native))
        {
            _ = Libseccomp.RemoveArchitecture(handle, native);
        }
    }

    /// <summary>Adds a rule that holds where all conditions do. False where the library does not know the call: it is then left to the default.</summary>
    /// <exception cref="KernelException">The rule is not possible (EINVAL: contradictory conditions).</exception>
    public bool TryAdd(string systemCall, SeccompAction action, ReadOnlySpan<SeccompCondition> conditions)
    {
        int number = Libseccomp.ResolveSystemCall(systemCall);
        if ((uint)number == NR_SCMP_ERROR)
        {
            return false;
        }

        foreach (uint architecture in _lastCalls.Keys.ToArray())
        {
            // Negative: the call does not exist there, or only inside of socketcall and ipc.
            _lastCalls[architecture] = Math.Max(_lastCalls[architecture], Libseccomp.ResolveSystemCall(architecture, systemCall));
        }

        if (action == _defaultAction)
        {
            return true;
        }

        Span<Libseccomp.Comparison> comparisons = stackalloc Libseccomp.Comparison[conditions.Length];
        for (int i = 0; i < conditions.Length; i++)
        {
            comparisons[i] = new Libseccomp.Comparison
            {
                Argument = conditions[i].Argument,
                Operator = (uint)conditions[i].Comparison,
                First = conditions[i].Value,
                Second = conditions[i].SecondValue,
            };
        }

        fixed (Libseccomp.Comparison* first = comparisons)
        {
            int result = Libseccomp.AddRule(handle, action.Value, number, (uint)comparisons.Length, first);
            return result == 0 ? true : throw new KernelException($"add a rule for {systemCall} to a seccomp filter", -result);
        }
    }

    /// <summary>
    /// The program, as struct sock_filter. Calls newer than any the rules name fail with ENOSYS instead of the default action, where that
    /// refuses: a C library then falls back to an older call, which it would not do for EPERM.
    /// </summary>
    /// <exception cref="KernelException">E2BIG: longer than the kernel takes.</exception>
    public byte[] Export()
    {
        byte[] program = FilterCompaction.Compact(ExportWhole());
        return program.Length <= MaximumInstructions * InstructionSize
            ? program
            : throw new KernelException($"compile a seccomp filter of {program.Length / InstructionSize} instructions", Errno.E2BIG);
    }

    /// <summary>The program as the library writes it, after what answers to unknown calls.</summary>
    internal byte[] ExportWhole()
    {
        byte[] prelude = _defaultAction.CarriesOut ? [] : UnknownCallPrelude.Generate(_lastCalls);
        return [.. prelude, .. Read()];
    }

    protected override bool ReleaseHandle()
    {
        Libseccomp.Release(handle);
        return true;
    }

    /// <summary>The library's own program. Only libseccomp 2.6 exports to memory; 2.5 writes to a descriptor.</summary>
    private byte[] Read()
    {
        const uint MFD_CLOEXEC = 1;
        using SafeFileHandle memory = new(Libseccomp.MemfdCreate("slipway-seccomp", MFD_CLOEXEC), ownsHandle: true);
        if (memory.IsInvalid)
        {
            throw new KernelException("memfd_create", Marshal.GetLastPInvokeError());
        }

        int result = Libseccomp.ExportBpf(handle, (int)memory.DangerousGetHandle());
        if (result != 0)
        {
            throw new KernelException("compile a seccomp filter", -result);
        }

        byte[] program = new byte[RandomAccess.GetLength(memory)];
        int read = RandomAccess.Read(memory, program, 0);
        return read == program.Length ? program : throw new KernelException("read a seccomp filter", Errno.EIO);
    }
}
