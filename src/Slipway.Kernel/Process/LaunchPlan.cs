using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>
/// Everything a child does between clone3 and execve, as data: a flat list of system calls. The child runs no C#
/// (docs/architecture.md, "Launching a container"); the launch stub walks this list. The plan owns the descriptors
/// added to it and closes them when it is disposed.
/// </summary>
/// <remarks>
/// A plan is compiled where policy lives (the engine) and executed elsewhere (the supervisor): descriptors are slots,
/// strings are offsets into <see cref="DataBytes"/>, and both are bound to real values only where the plan is run.
/// </remarks>
public sealed class LaunchPlan : IDisposable
{
    private readonly List<PlanStep> _steps = [];
    private readonly List<SafeHandle> _descriptors = [];
    private readonly List<int> _relocations = [];
    private byte[] _data = new byte[4096];
    private int _dataLength;

    /// <summary>CLONE_* flags for clone3 besides those the stub always sets (CLONE_VFORK, CLONE_PARENT, CLONE_PIDFD, CLONE_CLEAR_SIGHAND).</summary>
    public ulong CloneFlags { get; set; }

    /// <summary>Slot of a cgroup v2 directory for CLONE_INTO_CGROUP, or none (cgroup v1 is joined by steps).</summary>
    public PlanArgument? CgroupDirectory { get; set; }

    /// <summary>Slot of a pidfd or pid namespace the launching thread enters for its children (CLONE_NEWPID) before it clones, or none.</summary>
    public PlanArgument? PidNamespace { get; set; }

    public IReadOnlyList<PlanStep> Steps => _steps;

    /// <summary>Descriptors by slot. Valid until the plan is disposed.</summary>
    public IReadOnlyList<SafeHandle> Descriptors => _descriptors;

    /// <summary>Strings and structures that arguments point to.</summary>
    public ReadOnlySpan<byte> DataBytes => _data.AsSpan(0, _dataLength);

    /// <summary>Offsets of 8-byte words in <see cref="DataBytes"/> that hold an offset and become an address where the plan is run.</summary>
    public IReadOnlyList<int> Relocations => _relocations;

    /// <summary>Appends a call. Returns its index, for <see cref="PlanArgument.ResultOf"/>.</summary>
    /// <param name="description">What the step does, with its operands, as errors and <c>slipway explain</c> show it: <c>move_mount "/data"</c>.</param>
    /// <param name="tolerate">An errno with which the plan goes on, or 0.</param>
    /// <param name="tolerateAlso">A second such errno, or 0.</param>
    public int Add(string description, SystemCall call, ReadOnlySpan<PlanArgument> arguments, int tolerate = 0, int tolerateAlso = 0)
    {
        if (arguments.Length > 6)
        {
            throw new ArgumentException("a system call has at most six arguments", nameof(arguments));
        }

        foreach (PlanArgument argument in arguments)
        {
            if (argument.Kind == PlanArgumentKind.Result && argument.Value >= (ulong)_steps.Count)
            {
                throw new ArgumentException($"step {_steps.Count} ({description}) uses the result of a later step", nameof(arguments));
            }
        }

        _steps.Add(new PlanStep(description, call, arguments.ToArray(), tolerate, tolerateAlso));
        return _steps.Count - 1;
    }

    /// <summary>Adds a descriptor, which the plan then owns, and returns the argument that stands for it.</summary>
    public PlanArgument Own(SafeHandle descriptor)
    {
        _descriptors.Add(descriptor);
        return new PlanArgument(PlanArgumentKind.Descriptor, (ulong)(_descriptors.Count - 1));
    }

    /// <summary>A NUL-terminated UTF-8 string.</summary>
    public PlanArgument Text(string value)
    {
        if (value.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("a string for the kernel contains a NUL", nameof(value));
        }

        int length = Encoding.UTF8.GetByteCount(value);
        Span<byte> span = Reserve(length + 1, 1, out int offset);
        Encoding.UTF8.GetBytes(value, span);
        span[length] = 0;
        return PlanArgument.Data(offset);
    }

    /// <summary>Raw bytes, 8-byte aligned.</summary>
    public PlanArgument Bytes(ReadOnlySpan<byte> value)
    {
        value.CopyTo(Reserve(value.Length, 8, out int offset));
        return PlanArgument.Data(offset);
    }

    /// <summary>A blittable structure, 8-byte aligned.</summary>
    public PlanArgument Struct<T>(in T value) where T : unmanaged => Bytes(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>A NULL-terminated array of strings (argv, envp).</summary>
    public PlanArgument TextArray(IReadOnlyList<string> values)
    {
        PlanArgument[] items = [.. values.Select(Text)];
        Reserve((items.Length + 1) * 8, 8, out int offset).Clear();
        for (int i = 0; i < items.Length; i++)
        {
            SetPointer(offset + (i * 8), items[i]);
        }

        return PlanArgument.Data(offset);
    }

    /// <summary>Makes the 8-byte word at <paramref name="fieldOffset"/> of the data point to <paramref name="target"/> (a pointer inside a structure).</summary>
    public void SetPointer(int fieldOffset, PlanArgument target)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_data.AsSpan(fieldOffset, 8), target.Value);
        _relocations.Add(fieldOffset);
    }

    public void Dispose()
    {
        foreach (SafeHandle descriptor in _descriptors)
        {
            descriptor.Dispose();
        }
    }

    private Span<byte> Reserve(int length, int alignment, out int offset)
    {
        offset = (_dataLength + alignment - 1) & -alignment;
        if (offset + length > _data.Length)
        {
            Array.Resize(ref _data, Math.Max(_data.Length * 2, offset + length));
        }

        _dataLength = offset + length;
        return _data.AsSpan(offset, length);
    }
}

/// <summary>One system call of a plan.</summary>
public sealed record PlanStep(string Description, SystemCall Call, IReadOnlyList<PlanArgument> Arguments, int Tolerate, int TolerateAlso);

/// <summary>How an argument gets its value.</summary>
public enum PlanArgumentKind : byte
{
    /// <summary>As it is.</summary>
    Immediate,

    /// <summary>An offset into the plan's data; becomes an address.</summary>
    Data,

    /// <summary>A slot; becomes a descriptor number.</summary>
    Descriptor,

    /// <summary>The index of an earlier step; becomes that step's result, read by the child.</summary>
    Result,

    /// <summary>One of the three standard streams, which exist only where the plan is run (0, 1, 2).</summary>
    StandardStream,
}

/// <summary>An argument of a step.</summary>
public readonly record struct PlanArgument(PlanArgumentKind Kind, ulong Value)
{
    public static PlanArgument Stdin => new(PlanArgumentKind.StandardStream, 0);

    public static PlanArgument Stdout => new(PlanArgumentKind.StandardStream, 1);

    public static PlanArgument Stderr => new(PlanArgumentKind.StandardStream, 2);

    public static PlanArgument Data(int offset) => new(PlanArgumentKind.Data, (ulong)offset);

    public static PlanArgument ResultOf(int step) => new(PlanArgumentKind.Result, (ulong)step);

    public static implicit operator PlanArgument(int value) => new(PlanArgumentKind.Immediate, unchecked((ulong)(long)value));

    public static implicit operator PlanArgument(uint value) => new(PlanArgumentKind.Immediate, value);

    public static implicit operator PlanArgument(long value) => new(PlanArgumentKind.Immediate, unchecked((ulong)value));

    public static implicit operator PlanArgument(ulong value) => new(PlanArgumentKind.Immediate, value);
}
