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
                ? [new(FilterCode.JumpIfGreater, 0, 1, (uint)last), new(FilterCode.Return, 0, 0, notImplemented)]
                : lastCalls.TryGetValue(SCMP_ARCH_X32, out int lastX32) && lastX32 >= 0
                ?
                [
                    new(FilterCode.JumpIfGreaterOrEqual, 1, 0, X32Bit),
                    new(FilterCode.JumpIfGreater, 1, 2, (uint)last),
                    new(FilterCode.JumpIfGreater, 0, 1, X32Bit | (uint)lastX32),
                    new(FilterCode.Return, 0, 0, notImplemented),
                ]
                : [new(FilterCode.JumpIfGreaterOrEqual, 2, 0, X32Bit), new(FilterCode.JumpIfGreater, 0, 1, (uint)last), new(FilterCode.Return, 0, 0, notImplemented)];
            program.Add(new(FilterCode.Load, 0, 0, FilterCode.ArchitectureOffset));
            program.Add(new(FilterCode.JumpIfEqual, 0, (byte)(section.Length + 1), architecture));
            program.Add(new(FilterCode.Load, 0, 0, FilterCode.NumberOffset));
            program.AddRange(section);
        }

        return MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(program)).ToArray();
    }
}
