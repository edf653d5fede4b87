using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Slipway.Kernel.Process;

/// <summary>
/// A <see cref="LaunchPlan"/> as bytes, the form in which the engine hands it to the supervisor. System calls are numbers here, so an
/// older supervisor runs the plans of a newer engine.
/// </summary>
/// <remarks>
/// Layout, little-endian: <see cref="Header"/>, steps of 80 bytes each, relocations of 4 bytes each padded to 8, data padded to 8,
/// step descriptions in UTF-8. <see cref="Parse"/> checks every count, offset and slot, so that what follows need not.
/// </remarks>
public sealed class PlanDocument
{
    private const ulong Magic = 0x6E616C502D776C53; // "Slw-Plan"
    private const uint Version = 1;
    private const int NoSlot = -1;

    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly Header _header;
    private readonly int _relocations;
    private readonly int _data;
    private readonly int _descriptions;

    private PlanDocument(ReadOnlyMemory<byte> bytes, Header header)
    {
        _bytes = bytes;
        _header = header;
        _relocations = checked(Unsafe.SizeOf<Header>() + ((int)header.StepCount * Unsafe.SizeOf<Step>()));
        _data = checked(Align(_relocations + ((int)header.RelocationCount * 4)));
        _descriptions = checked(Align(_data + (int)header.DataLength));
    }

    public int StepCount => (int)_header.StepCount;

    /// <summary>Slots the plan uses; as many descriptors must be given to run it.</summary>
    public int DescriptorCount => (int)_header.DescriptorCount;

    internal ulong CloneFlags => _header.CloneFlags;

    /// <summary>The slot of the cgroup to clone into, or null.</summary>
    internal int? CgroupSlot => _header.CgroupSlot == NoSlot ? null : _header.CgroupSlot;

    /// <summary>The slot of the pid namespace for the child, or null.</summary>
    internal int? PidNamespaceSlot => _header.PidNamespaceSlot == NoSlot ? null : _header.PidNamespaceSlot;

    internal ReadOnlySpan<Step> Steps => MemoryMarshal.Cast<byte, Step>(_bytes.Span[Unsafe.SizeOf<Header>().._relocations]);

    internal ReadOnlySpan<uint> Relocations => MemoryMarshal.Cast<byte, uint>(_bytes.Span.Slice(_relocations, (int)_header.RelocationCount * 4));

    internal ReadOnlySpan<byte> Data => _bytes.Span.Slice(_data, (int)_header.DataLength);

    /// <summary>What step <paramref name="index"/> (from 0) does.</summary>
    public string Description(int index)
    {
        Step step = Steps[index];
        return Encoding.UTF8.GetString(_bytes.Span.Slice(_descriptions + (int)step.DescriptionOffset, (int)step.DescriptionLength));
    }

    /// <summary>The plan as bytes, for a supervisor on this machine. Descriptors go beside it, in the order of their slots.</summary>
    public static byte[] Serialize(LaunchPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        Architecture architecture = RuntimeInformation.ProcessArchitecture;
        int descriptionsLength = 0;
        foreach (PlanStep step in plan.Steps)
        {
            descriptionsLength += Encoding.UTF8.GetByteCount(step.Description);
        }

        var header = new Header
        {
            Magic = Magic,
            Version = Version,
            Architecture = (uint)architecture,
            CloneFlags = plan.CloneFlags,
            CgroupSlot = Slot(plan.CgroupDirectory),
            PidNamespaceSlot = Slot(plan.PidNamespace),
            StepCount = (uint)plan.Steps.Count,
            DescriptorCount = (uint)plan.Descriptors.Count,
            RelocationCount = (uint)plan.Relocations.Count,
            DataLength = (uint)plan.DataBytes.Length,
            DescriptionsLength = (uint)descriptionsLength,
        };

        var layout = new PlanDocument(default, header);
        byte[] bytes = new byte[layout._descriptions + descriptionsLength];
        MemoryMarshal.Write(bytes, in header);

        Span<Step> steps = MemoryMarshal.Cast<byte, Step>(bytes.AsSpan(Unsafe.SizeOf<Header>()..layout._relocations));
        int description = 0;
        for (int i = 0; i < steps.Length; i++)
        {
            PlanStep step = plan.Steps[i];
            int length = Encoding.UTF8.GetBytes(step.Description, bytes.AsSpan(layout._descriptions + description));
            steps[i].Number = (uint)SystemCalls.Number(step.Call, architecture);
            steps[i].Tolerate = (uint)step.Tolerate;
            steps[i].TolerateAlso = (uint)step.TolerateAlso;
            steps[i].DescriptionOffset = (uint)description;
            steps[i].DescriptionLength = (uint)length;
            description += length;
            for (int j = 0; j < step.Arguments.Count; j++)
            {
                steps[i].Kinds[j] = (byte)step.Arguments[j].Kind;
                steps[i].Values[j] = step.Arguments[j].Value;
            }
        }

        for (int i = 0; i < plan.Relocations.Count; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(layout._relocations + (i * 4)), plan.Relocations[i]);
        }

        plan.DataBytes.CopyTo(bytes.AsSpan(layout._data));
        return bytes;
    }

    /// <summary>Reads and checks a serialised plan. The bytes must not change while the document is used.</summary>
    /// <exception cref="InvalidDataException">Not a plan, of another version or architecture, or inconsistent.</exception>
    public static PlanDocument Parse(ReadOnlyMemory<byte> bytes)
    {
        if (!MemoryMarshal.TryRead(bytes.Span, out Header header) || header.Magic != Magic)
        {
            throw new InvalidDataException("not a launch plan");
        }

        if (header.Version != Version || header.Architecture != (uint)RuntimeInformation.ProcessArchitecture)
        {
            throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture, $"launch plan of version {header.Version} for architecture {header.Architecture}"));
        }

        // With every count below 2^20 (a plan has some dozens of steps) and data below 2^26 (ARG_MAX is 2^21), no offset overflows.
        const uint MaxCount = 1 << 20;
        const uint MaxData = 1 << 26;
        if (header.StepCount is 0 or > MaxCount || header.DescriptorCount > MaxCount || header.RelocationCount > MaxCount
            || header.DataLength > MaxData || header.DescriptionsLength > MaxData)
        {
            throw new InvalidDataException("launch plan with a count out of range");
        }

        var document = new PlanDocument(bytes, header);
        if (bytes.Length != document._descriptions + (int)header.DescriptionsLength)
        {
            throw new InvalidDataException("launch plan of a wrong length");
        }

        document.Check();
        return document;
    }

    private static int Slot(PlanArgument? argument) => argument switch
    {
        null => NoSlot,
        { Kind: PlanArgumentKind.Descriptor } slot => (int)slot.Value,
        _ => throw new ArgumentException("a namespace or cgroup of a plan must be one of its descriptors"),
    };

    private static int Align(int offset) => (offset + 7) & ~7;

    private void Check()
    {
        uint slots = _header.DescriptorCount;
        Require(_header.CgroupSlot == NoSlot || (uint)_header.CgroupSlot < slots, "its cgroup is no slot");
        Require(_header.PidNamespaceSlot == NoSlot || (uint)_header.PidNamespaceSlot < slots, "its pid namespace is no slot");

        foreach (uint relocation in Relocations)
        {
            Require(relocation % 8 == 0 && relocation + 8UL <= _header.DataLength, "a relocation lies outside the data");
            Require(BinaryPrimitives.ReadUInt64LittleEndian(Data[(int)relocation..]) <= _header.DataLength, "a pointer leads outside the data");
        }

        ReadOnlySpan<Step> steps = Steps;
        for (int i = 0; i < steps.Length; i++)
        {
            Require((ulong)steps[i].DescriptionOffset + steps[i].DescriptionLength <= _header.DescriptionsLength, "a description lies outside the plan");
            for (int j = 0; j < 6; j++)
            {
                ulong value = steps[i].Values[j];
                Require(
                    (PlanArgumentKind)steps[i].Kinds[j] switch
                    {
                        PlanArgumentKind.Immediate => true,
                        PlanArgumentKind.Data => value <= _header.DataLength,
                        PlanArgumentKind.Descriptor => value < slots,
                        PlanArgumentKind.Result => value < (ulong)i,
                        PlanArgumentKind.StandardStream => value <= 2,
                        _ => false,
                    },
                    "an argument is out of range");
            }
        }
    }

    private static void Require(bool condition, string problem)
    {
        if (!condition)
        {
            throw new InvalidDataException($"launch plan is damaged: {problem}");
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public ulong Magic;
        public uint Version;
        public uint Architecture;
        public ulong CloneFlags;
        public int CgroupSlot;
        public int PidNamespaceSlot;
        public uint StepCount;
        public uint DescriptorCount;
        public uint RelocationCount;
        public uint DataLength;
        public uint DescriptionsLength;
        public uint Reserved;
    }

    /// <summary>A step, its arguments not yet bound.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Step
    {
        public uint Number;
        public uint Tolerate;
        public uint TolerateAlso;
        public uint DescriptionOffset;
        public uint DescriptionLength;
        public uint Reserved;
        public KindArray Kinds;
        public ValueArray Values;
    }

    [InlineArray(8)]
    internal struct KindArray
    {
        private byte _first;
    }

    [InlineArray(6)]
    internal struct ValueArray
    {
        private ulong _first;
    }
}
