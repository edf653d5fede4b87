using System.Runtime.InteropServices;
using Slipway.Kernel;
using Slipway.Kernel.Security;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Confinement;

public sealed class FilterCompactionTests
{
    private static readonly uint[] s_architectures = [FilterInterpreter.X64, FilterInterpreter.X86, FilterInterpreter.Arm64, 0, uint.MaxValue];

    private static readonly string[] s_calls =
        ["read", "write", "open", "openat", "close", "mount", "umount2", "clone", "clone3", "socket", "personality", "ptrace", "kexec_load", "bpf", "reboot", "keyctl", "openat2", "setns", "mmap"];

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void The_default_profile_answers_the_same_in_a_third_of_the_length(int capabilities)
    {
        string[][] sets = [[], [.. CapabilityPolicy.Default], ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_BOOT"]];
        using SeccompFilter filter = new(SeccompAction.Error(1), ["x86_64", "x86", "x32"]);
        SeccompCompiler.AddRules(filter, SeccompProfile.Default.Resolve(sets[capabilities], Architecture.X64, new Version(6, 1))!.Syscalls);
        byte[] whole = filter.ExportWhole();
        byte[] compact = FilterCompaction.Compact(whole);
        AssertSame(whole, compact);
        Assert.InRange(compact.Length, 1, whole.Length / 3);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Any_profile_answers_the_same(int seed)
    {
        Random random = new(seed);
        SeccompAction[] actions = [SeccompAction.Allow, SeccompAction.Error(1), SeccompAction.Error(38), SeccompAction.KillProcess, SeccompAction.Log, SeccompAction.Trap];
        string[][] architectures = [[], ["x86_64"], ["x86_64", "x86", "x32"], ["x86_64", "aarch64"], ["x86"]];
        using SeccompFilter filter = new(actions[random.Next(4)], architectures[random.Next(architectures.Length)]);
        for (int i = 0; i < random.Next(1, 120); i++)
        {
            SeccompCondition[] conditions = [.. Enumerable.Range(0, random.Next(4)).Select(argument =>
                new SeccompCondition((uint)argument, (SeccompComparison)random.Next(1, 8), (ulong)random.NextInt64() >> random.Next(64), (ulong)random.NextInt64() >> random.Next(64)))];
            string name = random.Next(3) == 0 ? s_calls[random.Next(s_calls.Length)] : Name(random);
            try
            {
                filter.TryAdd(name, actions[random.Next(actions.Length)], conditions);
            }
            catch (KernelException)
            {
                // A rule that contradicts another one.
            }
        }

        byte[] whole = filter.ExportWhole();
        AssertSame(whole, FilterCompaction.Compact(whole));
    }

    public static TheoryData<int> Seeds() => [.. Enumerable.Range(1, 60)];

    [Fact]
    public void Ways_longer_than_a_jump_are_bridged()
    {
        // Every second number has an answer of its own: no two share one, and every arm of the tree is longer than a jump reaches.
        List<FilterInstruction> program = [new(FilterCode.Load, 0, 0, FilterCode.NumberOffset)];
        for (uint number = 0; number < 1000; number++)
        {
            program.Add(new FilterInstruction(FilterCode.JumpIfEqual, 0, 1, number * 2));
            program.Add(new FilterInstruction(FilterCode.Return, 0, 0, SeccompAction.Error((ushort)(number + 1)).Value));
        }

        program.Add(new FilterInstruction(FilterCode.Return, 0, 0, SeccompAction.Allow.Value));
        byte[] whole = Bytes(program);
        byte[] compact = FilterCompaction.Compact([.. whole]);
        for (int number = 0; number < 2010; number++)
        {
            Assert.Equal(FilterInterpreter.Run(whole, FilterInterpreter.X64, number), FilterInterpreter.Run(compact, FilterInterpreter.X64, number));
        }
    }

    [Fact]
    public void A_long_way_back_to_a_shared_answer_is_bridged()
    {
        // Three hundred numbers that look at an argument, and two answers for all of them.
        List<FilterInstruction> program = [new(FilterCode.Load, 0, 0, FilterCode.NumberOffset)];
        for (uint number = 0; number < 300; number++)
        {
            program.Add(new FilterInstruction(FilterCode.JumpIfEqual, 0, 4, number * 3));
            program.Add(new FilterInstruction(FilterCode.Load, 0, 0, FilterCode.ArgumentsOffset));
            program.Add(new FilterInstruction(FilterCode.JumpIfGreater, 0, 1, number));
            program.Add(new FilterInstruction(FilterCode.Return, 0, 0, SeccompAction.Allow.Value));
            program.Add(new FilterInstruction(FilterCode.Return, 0, 0, SeccompAction.Error(7).Value));
        }

        program.Add(new FilterInstruction(FilterCode.Return, 0, 0, SeccompAction.Error(1).Value));
        byte[] whole = Bytes(program);
        byte[] compact = FilterCompaction.Compact([.. whole]);
        for (int number = 0; number < 905; number++)
        {
            foreach (ulong argument in (ulong[])[0, (ulong)number / 3, ((ulong)number / 3) + 1, uint.MaxValue])
            {
                Assert.Equal(FilterInterpreter.Run(whole, FilterInterpreter.X64, number, argument), FilterInterpreter.Run(compact, FilterInterpreter.X64, number, argument));
            }
        }
    }

    [Theory]
    [InlineData(0x07, 0u)]
    [InlineData(0x61, 0u)]
    [InlineData(0x05, 5u)]
    [InlineData(0x05, uint.MaxValue)]
    [InlineData(0x16, 0u)]
    public void What_the_library_does_not_write_stays_as_it_is(int code, uint constant)
    {
        byte[] program = Bytes([new((ushort)code, 0, 0, constant), new(FilterCode.Return, 0, 0, 0)]);
        Assert.Same(program, FilterCompaction.Compact(program));
    }

    [Fact]
    public void A_way_out_of_the_program_is_not_followed()
    {
        byte[] program = Bytes([new(FilterCode.Load, 0, 0, 0), new(FilterCode.JumpIfEqual, 3, 0, 1), new(FilterCode.Return, 0, 0, 0)]);
        Assert.Same(program, FilterCompaction.Compact(program));
        Assert.Empty(FilterCompaction.Compact([]));
    }

    private static void AssertSame(byte[] whole, byte[] compact)
    {
        ulong[] values = [.. MemoryMarshal.Cast<byte, FilterInstruction>(whole).ToArray()
            .Where(instruction => FilterCode.IsBranch(instruction.Code)).Select(instruction => (ulong)instruction.Constant).Distinct()];
        ulong[] arguments = [0, 1, 2, 8, 16, 38, 40, 0x20000, 0x20008, 0x7E020000, uint.MaxValue, 0x1_0000_0000, ulong.MaxValue, .. values.Where(value => value > 1000).Take(20)];
        IEnumerable<int> numbers = Enumerable.Range(-2, 700)
            .Concat(Enumerable.Range(FilterInterpreter.X32Bit - 2, 700))
            .Concat(values.SelectMany(value => (int[])[(int)(uint)value - 1, (int)(uint)value, (int)(uint)value + 1]))
            .Append(int.MaxValue).Append(int.MinValue).Distinct();
        foreach (int number in numbers)
        {
            foreach (uint architecture in s_architectures)
            {
                foreach (ulong argument in arguments)
                {
                    // Each argument in every place, beside others that differ from it.
                    ulong[] all = [argument, argument, argument ^ 1, argument, argument, argument + 7];
                    uint expected = FilterInterpreter.Run(whole, architecture, number, all).Value;
                    if (expected != FilterInterpreter.Run(compact, architecture, number, all).Value)
                    {
                        Assert.Fail($"call {number} of {architecture:x} with {argument:x}: {expected:x} expected");
                    }
                }
            }
        }
    }

    private static string Name(Random random) => SeccompProfile.Default.Rules[random.Next(SeccompProfile.Default.Rules.Count)].Rule.Names is var names ? names[random.Next(names.Count)] : "";

    private static byte[] Bytes(List<FilterInstruction> program) => MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(program)).ToArray();
}
