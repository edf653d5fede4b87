namespace Slipway.Kernel.Security;

/// <summary>Codes of the classic BPF instructions that seccomp programs consist of (Documentation/networking/filter.rst, linux/filter.h).</summary>
internal static class FilterCode
{
    /// <summary>Loads a word of struct seccomp_data.</summary>
    public const ushort Load = 0x20;

    public const ushort Jump = 0x05;
    public const ushort JumpIfEqual = 0x15;
    public const ushort JumpIfGreater = 0x25;
    public const ushort JumpIfGreaterOrEqual = 0x35;
    public const ushort JumpIfSet = 0x45;
    public const ushort Return = 0x06;

    /// <summary>Keeps the bits of a constant.</summary>
    public const ushort And = 0x54;

    public const uint NumberOffset = 0;
    public const uint ArchitectureOffset = 4;

    /// <summary>Where the arguments begin; before them is the instruction pointer.</summary>
    public const uint ArgumentsOffset = 16;

    public static bool IsBranch(ushort code) => code is JumpIfEqual or JumpIfGreater or JumpIfGreaterOrEqual or JumpIfSet;

    /// <summary>What may be carried out after the instruction at <paramref name="at"/>: for a branch where it holds first, then where not.</summary>
    public static int[] Successors(FilterInstruction instruction, int at) => instruction.Code switch
    {
        Return => [],
        Jump => [checked(at + 1 + (int)instruction.Constant)],
        _ when IsBranch(instruction.Code) => [at + 1 + instruction.IfTrue, at + 1 + instruction.IfFalse],
        _ => [at + 1],
    };

    /// <summary>Whether a program is made of these alone, every way through it ends in an answer, and nothing leads out of it.</summary>
    public static bool IsKnown(FilterInstruction[] program)
    {
        for (int at = 0; at < program.Length; at++)
        {
            FilterInstruction instruction = program[at];
            bool known = instruction.Code is Load or Jump or Return or And || IsBranch(instruction.Code);
            if (!known || (instruction.Code == Jump && instruction.Constant >= program.Length) || Successors(instruction, at).Any(next => next >= program.Length))
            {
                return false;
            }
        }

        return program.Length > 0;
    }
}
