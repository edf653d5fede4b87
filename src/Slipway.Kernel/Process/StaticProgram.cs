using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Slipway.Kernel.Process;

/// <summary>The smallest static executable (elf(5)): one loadable segment, read and execute, with data before the code.</summary>
public static class StaticProgram
{
    /// <summary>Where the data are in memory; the code follows them.</summary>
    public const ulong DataAddress = Base + HeaderSize + ProgramHeaderSize;

    private const int HeaderSize = 64;
    private const int ProgramHeaderSize = 56;
    private const ulong Base = 0x400000;

    private const ushort EM_X86_64 = 62;
    private const ushort EM_AARCH64 = 183;

    /// <param name="data">Its length a multiple of 4, as instructions of arm64 are aligned.</param>
    /// <param name="code">Machine code for <paramref name="architecture"/>; it is entered at its beginning.</param>
    /// <exception cref="PlatformNotSupportedException">Neither x86-64 nor arm64.</exception>
    public static byte[] Build(Architecture architecture, ReadOnlySpan<byte> data, ReadOnlySpan<byte> code)
    {
        ushort machine = architecture switch
        {
            Architecture.X64 => EM_X86_64,
            Architecture.Arm64 => EM_AARCH64,
            _ => throw new PlatformNotSupportedException($"no program for {architecture}"),
        };
        const int start = HeaderSize + ProgramHeaderSize;
        byte[] file = new byte[start + data.Length + code.Length];
        Span<byte> header = file;
        ReadOnlySpan<byte> identification = [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identification.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[16..], 2); // e_type: ET_EXEC
        BinaryPrimitives.WriteUInt16LittleEndian(header[18..], machine);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1); // e_version
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], DataAddress + (ulong)data.Length); // e_entry
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
        data.CopyTo(header[start..]);
        code.CopyTo(header[(start + data.Length)..]);
        return file;
    }
}
