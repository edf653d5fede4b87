using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Cgroups;

/// <summary>An eBPF instruction (struct bpf_insn).</summary>
/// <param name="Code">Operation.</param>
/// <param name="Registers">Destination in the low, source in the high four bits.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct BpfInstruction(byte Code, byte Registers, short Offset, int Immediate);

/// <summary>
/// Device rules on cgroup v2, which has no devices controller but asks a BPF program of type BPF_PROG_TYPE_CGROUP_DEVICE at
/// every mknod and open of a device (cgroup-v2.rst, "Device controller"). The program is a chain of comparisons, one
/// block an exception of <see cref="DeviceAccess"/>.
/// </summary>
internal static unsafe class DeviceProgram
{
    // Opcodes: instruction-set.rst. JMP compares 64 bits, ALU64 computes with 64.
    private const byte LoadWord = 0x61;
    private const byte MoveImmediate = 0xB7;
    private const byte MoveRegister = 0xBF;
    private const byte AndImmediate = 0x57;
    private const byte ShiftRight = 0x77;
    private const byte JumpIfEqual = 0x15;
    private const byte JumpIfNotEqual = 0x55;
    private const byte JumpIfNotEqualRegister = 0x5D;
    private const byte Exit = 0x95;

    // enum bpf_cmd, bpf_prog_type, bpf_attach_type; BPF_F_* (uapi/linux/bpf.h).
    private const int BPF_PROG_LOAD = 5;
    private const int BPF_PROG_ATTACH = 8;
    private const int BPF_PROG_GET_FD_BY_ID = 13;
    private const int BPF_PROG_QUERY = 16;
    private const uint BPF_PROG_TYPE_CGROUP_DEVICE = 15;
    private const uint BPF_CGROUP_DEVICE = 6;
    private const uint BPF_F_ALLOW_MULTI = 2;
    private const uint BPF_F_REPLACE = 4;

    /// <summary>The program for rules. Its argument is struct bpf_cgroup_dev_ctx: access in the high and kind in the low half of the first word, then major and minor.</summary>
    public static BpfInstruction[] Generate(DeviceAccess access)
    {
        List<BpfInstruction> program =
        [
            // r2 = kind, r3 = access, r4 = major, r5 = minor; r1 becomes scratch.
            new(LoadWord, 0x12, 0, 0),
            new(AndImmediate, 0x02, 0, 0xFFFF),
            new(LoadWord, 0x13, 0, 0),
            new(ShiftRight, 0x03, 0, 16),
            new(LoadWord, 0x14, 4, 0),
            new(LoadWord, 0x15, 8, 0),
        ];

        List<BpfInstruction> block = [];
        foreach (DeviceRule rule in access.Exceptions)
        {
            // Jumps lead to the end of the block and get their distance when it is complete. BPF_DEVCG_DEV_BLOCK is 1, _CHAR 2.
            block.Clear();
            block.Add(new(JumpIfNotEqual, 0x02, 0, rule.Kind == DeviceKind.Block ? 1 : 2));
            if (!rule.Allow || rule.Permissions != DevicePermissions.All)
            {
                block.Add(new(MoveRegister, 0x31, 0, 0));
                block.Add(new(AndImmediate, 0x01, 0, (int)rule.Permissions));
                block.Add(rule.Allow ? new(JumpIfNotEqualRegister, 0x31, 0, 0) : new(JumpIfEqual, 0x01, 0, 0));
            }

            if (rule.Major is { } major)
            {
                block.Add(new(JumpIfNotEqual, 0x04, 0, checked((int)major)));
            }

            if (rule.Minor is { } minor)
            {
                block.Add(new(JumpIfNotEqual, 0x05, 0, checked((int)minor)));
            }

            block.Add(new(MoveImmediate, 0x00, 0, rule.Allow ? 1 : 0));
            block.Add(new(Exit, 0, 0, 0));
            for (int i = 0; i < block.Count; i++)
            {
                bool jump = block[i].Code is JumpIfEqual or JumpIfNotEqual or JumpIfNotEqualRegister;
                program.Add(jump ? block[i] with { Offset = (short)(block.Count - i - 1) } : block[i]);
            }
        }

        program.Add(new(MoveImmediate, 0x00, 0, access.AllowedByDefault ? 1 : 0));
        program.Add(new(Exit, 0, 0, 0));
        return [.. program];
    }

    /// <summary>Loads the program for rules and attaches it to a group, in place of the one attached before.</summary>
    public static void Attach(SafeFileHandle group, DeviceAccess access)
    {
        uint present = Query(group);
        if (present == 0 && access.AllowedByDefault && access.Exceptions.Count == 0)
        {
            return;
        }

        using SafeFileHandle program = Load(Generate(access));
        using SafeFileHandle? replaced = present == 0 ? null : OpenById(present);
        AttachAttributes attributes = new()
        {
            Target = (uint)group.DangerousGetHandle(),
            Program = (uint)program.DangerousGetHandle(),
            Type = BPF_CGROUP_DEVICE,
            Flags = BPF_F_ALLOW_MULTI | (replaced is null ? 0 : BPF_F_REPLACE),
            Replaced = replaced is null ? 0 : (uint)replaced.DangerousGetHandle(),
        };
        if (CgroupNative.Bpf(BPF_PROG_ATTACH, &attributes, (uint)sizeof(AttachAttributes)) != 0)
        {
            throw new KernelException("attach the device program to a control group", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Loads a program; the kernel verifies it.</summary>
    public static SafeFileHandle Load(ReadOnlySpan<BpfInstruction> program)
    {
        // The licence decides which kernel functions a program may call; this one calls none.
        ReadOnlySpan<byte> license = "Apache-2.0\0"u8;
        fixed (BpfInstruction* instructions = program)
        fixed (byte* licenseStart = license)
        {
            LoadAttributes attributes = new()
            {
                Type = BPF_PROG_TYPE_CGROUP_DEVICE,
                InstructionCount = (uint)program.Length,
                Instructions = (ulong)instructions,
                License = (ulong)licenseStart,
            };
            Encoding.ASCII.GetBytes("slipway_devices", new Span<byte>(attributes.Name, 16));
            int descriptor = CgroupNative.Bpf(BPF_PROG_LOAD, &attributes, (uint)sizeof(LoadAttributes));
            return descriptor >= 0
                ? new SafeFileHandle(descriptor, ownsHandle: true)
                : throw new KernelException("load the device program of a control group", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>The id of the program attached to a group, or 0.</summary>
    private static uint Query(SafeFileHandle group)
    {
        const int capacity = 16;
        uint* ids = stackalloc uint[capacity];
        QueryAttributes attributes = new() { Target = (uint)group.DangerousGetHandle(), Type = BPF_CGROUP_DEVICE, Ids = (ulong)ids, Count = capacity };
        if (CgroupNative.Bpf(BPF_PROG_QUERY, &attributes, (uint)sizeof(QueryAttributes)) != 0)
        {
            throw new KernelException("query the device programs of a control group", Marshal.GetLastPInvokeError());
        }

        // An older one of ours is alone: nobody else attaches to a container's group.
        return attributes.Count == 0 ? 0 : ids[0];
    }

    private static SafeFileHandle OpenById(uint id)
    {
        IdAttributes attributes = new() { Id = id };
        int descriptor = CgroupNative.Bpf(BPF_PROG_GET_FD_BY_ID, &attributes, (uint)sizeof(IdAttributes));
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new KernelException("open the device program of a control group", Marshal.GetLastPInvokeError());
    }

    // Members of union bpf_attr, as far as they are used.
    [StructLayout(LayoutKind.Sequential)]
    private struct LoadAttributes
    {
        public uint Type;
        public uint InstructionCount;
        public ulong Instructions;
        public ulong License;
        public uint LogLevel;
        public uint LogSize;
        public ulong LogBuffer;
        public uint KernelVersion;
        public uint Flags;
        public fixed byte Name[16];
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct AttachAttributes
    {
        public uint Target;
        public uint Program;
        public uint Type;
        public uint Flags;
        public uint Replaced;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct QueryAttributes
    {
        public uint Target;
        public uint Type;
        public uint QueryFlags;
        public uint AttachFlags;
        public ulong Ids;
        public uint Count;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct IdAttributes
    {
        public uint Id;
        public uint Next;
        public uint Flags;
    }
}
