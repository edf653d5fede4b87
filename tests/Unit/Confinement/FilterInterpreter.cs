using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Slipway.Kernel.Security;

namespace Slipway.Tests.Unit.Confinement;

/// <summary>Runs a classic BPF program on a system call as the kernel would (Documentation/networking/filter.rst, struct seccomp_data).</summary>
internal static class FilterInterpreter
{
    public const uint X64 = 0xC000003E;
    public const uint X86 = 0x40000003;
    public const uint Arm64 = 0xC00000B7;
    public const int X32Bit = 0x40000000;

    public static SeccompAction Run(ReadOnlySpan<byte> program, uint architecture, int number, params ulong[] arguments)
    {
        Span<byte> data = stackalloc byte[64];
        BinaryPrimitives.WriteInt32LittleEndian(data, number);
        BinaryPrimitives.WriteUInt32LittleEndian(data[4..], architecture);
        for (int i = 0; i < arguments.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(data[(16 + (i * 8))..], arguments[i]);
        }

        ReadOnlySpan<FilterInstruction> instructions = MemoryMarshal.Cast<byte, FilterInstruction>(program);
        Span<uint> memory = stackalloc uint[16];
        uint accumulator = 0;
        uint index = 0;
        for (int counter = 0; ; counter++)
        {
            FilterInstruction instruction = instructions[counter];
            uint constant = instruction.Constant;
            switch (instruction.Code)
            {
                case 0x20:
                    accumulator = BinaryPrimitives.ReadUInt32LittleEndian(data[(int)constant..]);
                    break;
                case 0x60:
                    accumulator = memory[(int)constant];
                    break;
                case 0x61:
                    index = memory[(int)constant];
                    break;
                case 0x02:
                    memory[(int)constant] = accumulator;
                    break;
                case 0x54:
                    accumulator &= constant;
                    break;
                case 0x07:
                    index = accumulator;
                    break;
                case 0x87:
                    accumulator = index;
                    break;
                case 0x05:
                    counter += (int)constant;
                    break;
                case 0x15:
                    counter += accumulator == constant ? instruction.IfTrue : instruction.IfFalse;
                    break;
                case 0x25:
                    counter += accumulator > constant ? instruction.IfTrue : instruction.IfFalse;
                    break;
                case 0x35:
                    counter += accumulator >= constant ? instruction.IfTrue : instruction.IfFalse;
                    break;
                case 0x45:
                    counter += (accumulator & constant) != 0 ? instruction.IfTrue : instruction.IfFalse;
                    break;
                case 0x06:
                    return new SeccompAction(constant);
                default:
                    throw new InvalidOperationException($"unexpected instruction 0x{instruction.Code:x} at {counter}");
            }
        }
    }
}
