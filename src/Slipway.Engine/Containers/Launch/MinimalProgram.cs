using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Slipway.Engine.Containers.Launch;

/// <summary>The smallest static executable (elf(5)): one loadable segment whose code is <c>exit(0)</c>.</summary>
internal static class MinimalProgram
{
    private const int HeaderSize = 64;
    private const int ProgramHeaderSize = 56;
    private const ulong Base = 0x400000;

    private const ushort EM_X86_64 = 62;
    private const ushort EM_AARCH64 = 183;

    /// <exception cref="PlatformNotSupportedException">Neither x86-64 nor arm64.</exception>
    public static byte[] For(Architecture architecture) => architecture switch
    {
        // mov eax, 60; xor edi, edi; syscall
        Architecture.X64 => Build(EM_X86_64, [0xB8, 0x3C, 0x00, 0x00, 0x00, 0x31, 0xFF, 0x0F, 0x05]),

        // mov x8, #93; mov x0, #0; svc #0
        Architecture.Arm64 => Build(EM_AARCH64, [0xA8, 0x0B, 0x80, 0xD2, 0x00, 0x00, 0x80, 0xD2, 0x01, 0x00, 0x00, 0xD4]),
        _ => throw new PlatformNotSupportedException($"no program for {architecture}"),
    };

    private static byte[] Build(ushort machine, ReadOnlySpan<byte> code)
    {
        const int start = HeaderSize + ProgramHeaderSize;
        byte[] file = new byte[start + code.Length];
        Span<byte> header = file;
        ReadOnlySpan<byte> identification = [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identification.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[16..], 2); // e_type: ET_EXEC
        BinaryPrimitives.WriteUInt16LittleEndian(header[18..], machine);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1); // e_version
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], Base + start); // e_entry
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], HeaderSize); // e_phoff
        BinaryPrimitives.WriteUInt16LittleEndian(header[52..], HeaderSize); // e_ehsize
        BinaryPrimitives.WriteUInt16LittleEndian(header[54..], ProgramHeaderSize); // e_phentsize
        BinaryPrimitives.WriteUInt16LittleEndian(header[56..], 1); // e_phnum
        Span<byte> segment = header.Slice(HeaderSize, ProgramHeaderSize);
        BinaryPrimitives.WriteUInt32LittleEndian(segment, 1); // p_type: PT_LOAD
        BinaryPrimitives.WriteUInt32LittleEndian(segment[4..], 5); // p_flags: read, execute
        BinaryPrimitives.WriteUInt64LittleEndian(segment[16..], Base); // p_vaddr
        BinaryPrimitives.WriteUInt64LittleEndian(segment[24..], Base); // p_paddr
        BinaryPrimitives.WriteUInt64LittleEndian(segment[32..], (ulong)file.Length); // p_filesz
        BinaryPrimitives.WriteUInt64LittleEndian(segment[40..], (ulong)file.Length); // p_memsz
        BinaryPrimitives.WriteUInt64LittleEndian(segment[48..], 0x1000); // p_align
        code.CopyTo(header[start..]);
        return file;
    }
}
