using System.Runtime.InteropServices;

namespace Slipway.Kernel.Security;

/// <summary>A classic BPF instruction (struct sock_filter).</summary>
/// <param name="IfTrue">Instructions skipped where a comparison holds.</param>
/// <param name="IfFalse">Instructions skipped where it does not.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct FilterInstruction(ushort Code, byte IfTrue, byte IfFalse, uint Constant);

/// <summary>Instructions put before a filter that answer ENOSYS to calls with a number above the highest the filter names, as runc does.</summary>
internal static class UnknownCallPrelude
{
    // Documentation/networking/filter.rst: load a word of struct seccomp_data, jumps, return.
    private const ushort Load = 0x20;
    private const ushort JumpIfEqual = 0x15;
    private const ushort JumpIfGreater = 0x25;
    private const ushort JumpIfGreaterOrEqual = 0x35;
    private const ushort Return = 0x06;
    private const uint NumberOffset = 0;
    private const uint ArchitectureOffset = 4;

    private const uint AUDIT_ARCH_X86_64 = 0xC000003E;

    // libseccomp's word for x32, which the kernel shows as x86-64 with this bit in the call's number.
    private const uint SCMP_ARCH_X32 = 0x4000003E;
    private const uint X32Bit = 0x40000000;

    /// <param name="lastCalls">The highest number by architecture; negative where no call exists there.</param>
    public static byte[] Generate(IReadOnlyDictionary<uint, int> lastCalls)
    {
        uint notImplemented = SeccompAction.Error(Errno.ENOSYS).Value;
        List<FilterInstruction> program = [];
        foreach ((uint architecture, int last) in lastCalls)
        {
            if (last < 0 || architecture == SCMP_ARCH_X32)
            {
                continue;
            }

            FilterInstruction[] section = architecture != AUDIT_ARCH_X86_64
                ? [new(JumpIfGreater, 0, 1, (uint)last), new(Return, 0, 0, notImplemented)]
                : lastCalls.TryGetValue(SCMP_ARCH_X32, out int lastX32) && lastX32 >= 0
                ?
                [
                    new(JumpIfGreaterOrEqual, 1, 0, X32Bit),
                    new(JumpIfGreater, 1, 2, (uint)last),
                    new(JumpIfGreater, 0, 1, X32Bit | (uint)lastX32),
                    new(Return, 0, 0, notImplemented),
                ]
                : [new(JumpIfGreaterOrEqual, 2, 0, X32Bit), new(JumpIfGreater, 0, 1, (uint)last), new(Return, 0, 0, notImplemented)];
            program.Add(new(Load, 0, 0, ArchitectureOffset));
            program.Add(new(JumpIfEqual, 0, (byte)(section.Length + 1), architecture));
            program.Add(new(Load, 0, 0, NumberOffset));
            program.AddRange(section);
        }

        return MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(program)).ToArray();
    }
}
