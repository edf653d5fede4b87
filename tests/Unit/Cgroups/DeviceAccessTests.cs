using Slipway.Kernel.Cgroups;
using Xunit;

namespace Slipway.Tests.Unit.Cgroups;

public sealed class DeviceAccessTests
{
    private const uint Block = 1;
    private const uint Character = 2;
    private const DevicePermissions R = DevicePermissions.Read;
    private const DevicePermissions W = DevicePermissions.Write;
    private const DevicePermissions M = DevicePermissions.Make;

    private static readonly DeviceRule DenyAll = new(false, DeviceKind.Any, null, null, DevicePermissions.All);

    private static DeviceRule Allow(uint? major, uint? minor, DevicePermissions permissions, DeviceKind kind = DeviceKind.Character) =>
        new(true, kind, major, minor, permissions);

    [Theory]
    [InlineData(Character, 1u, 3u, R | W, true)]
    [InlineData(Character, 1u, 3u, M, true)]
    [InlineData(Character, 1u, 4u, R, false)]
    [InlineData(Block, 1u, 3u, R, false)]
    [InlineData(Character, 136u, 77u, R | W, true)]
    [InlineData(Character, 1u, 11u, R, true)]
    [InlineData(Character, 1u, 11u, R | W, false)]
    [InlineData(Character, 1u, 11u, W, false)]
    [InlineData(Block, 8u, 0u, M, true)]
    [InlineData(Block, 8u, 0u, R, false)]
    public void The_program_allows_what_the_rules_name(uint kind, uint major, uint minor, DevicePermissions permissions, bool allowed)
    {
        DeviceAccess access = new(
            [DenyAll, Allow(1, 3, R), Allow(1, 3, W | M), Allow(136, null, R | W | M), Allow(1, 11, R), Allow(null, null, M, DeviceKind.Block)]);
        Assert.Equal(allowed, Interpret(DeviceProgram.Generate(access), kind, major, minor, permissions));
    }

    [Theory]
    [InlineData(Block, 8u, 0u, R, false)]
    [InlineData(Block, 8u, 0u, R | W, false)]
    [InlineData(Block, 8u, 0u, W, true)]
    [InlineData(Block, 8u, 1u, R, true)]
    [InlineData(Character, 8u, 0u, R, true)]
    public void Exceptions_from_everything_are_denied_by_any_permission(uint kind, uint major, uint minor, DevicePermissions permissions, bool allowed)
    {
        DeviceAccess access = new([new DeviceRule(false, DeviceKind.Block, 8, 0, R)]);
        Assert.Equal(allowed, Interpret(DeviceProgram.Generate(access), kind, major, minor, permissions));
    }

    [Fact]
    public void Later_rules_take_back_earlier_ones()
    {
        DeviceAccess access = new([DenyAll, Allow(1, 3, R | W), new DeviceRule(false, DeviceKind.Character, 1, 3, W), Allow(5, 0, R), new DeviceRule(false, DeviceKind.Character, 5, 0, R)]);
        Assert.Equal([Allow(1, 3, R)], access.Exceptions);
        Assert.False(access.AllowedByDefault);
        DeviceAccess all = new([DenyAll, Allow(1, 3, R), new DeviceRule(true, DeviceKind.Any, null, null, DevicePermissions.All)]);
        Assert.True(all.AllowedByDefault);
        Assert.Empty(all.Exceptions);
    }

    [Fact]
    public void Taking_back_part_of_a_wider_rule_is_refused() =>
        Assert.Throws<ArgumentException>(() => new DeviceAccess([DenyAll, Allow(1, null, R), new DeviceRule(false, DeviceKind.Character, 1, 3, R)]));

    [Theory]
    [InlineData("a *:* rwm\n", "devices.deny=a devices.allow=c 1:3 rw devices.allow=c 136:* rwm")]
    [InlineData("c 1:3 rw\nc 136:* rwm\n", "")]
    [InlineData("c 1:3 rwm\nb 8:0 r\n", "devices.deny=b 8:0 r devices.deny=c 1:3 m devices.allow=c 136:* rwm")]
    [InlineData("", "devices.allow=c 1:3 rw devices.allow=c 136:* rwm")]
    public void Version_1_is_written_only_what_differs(string list, string changes)
    {
        DeviceAccess access = new([DenyAll, Allow(1, 3, R | W), Allow(136, null, R | W | M)]);
        Assert.Equal(changes, string.Join(' ', access.ChangesFrom(list).Select(change => $"{change.File}={change.Value}")));
    }

    [Theory]
    [InlineData("a *:* rwm\n", "")]
    [InlineData("c 1:3 rw\n", "devices.allow=a")]
    public void Everything_is_allowed_in_one_write(string list, string changes) =>
        Assert.Equal(changes, string.Join(' ', new DeviceAccess([]).ChangesFrom(list).Select(change => $"{change.File}={change.Value}")));

    /// <summary>eBPF as far as the generated programs go (Documentation/bpf/standardization/instruction-set.rst), on struct bpf_cgroup_dev_ctx.</summary>
    private static bool Interpret(BpfInstruction[] program, uint kind, uint major, uint minor, DevicePermissions permissions)
    {
        uint[] context = [((uint)permissions << 16) | kind, major, minor];
        ulong[] registers = new ulong[11];
        for (int counter = 0; ; counter++)
        {
            BpfInstruction instruction = program[counter];
            int destination = instruction.Registers & 15;
            int source = instruction.Registers >> 4;
            ulong immediate = (ulong)instruction.Immediate;
            switch (instruction.Code)
            {
                case 0x61:
                    Assert.Equal(1, source);
                    registers[destination] = context[instruction.Offset / 4];
                    break;
                case 0xB7:
                    registers[destination] = immediate;
                    break;
                case 0xBF:
                    registers[destination] = registers[source];
                    break;
                case 0x57:
                    registers[destination] &= immediate;
                    break;
                case 0x77:
                    registers[destination] >>= instruction.Immediate;
                    break;
                case 0x15:
                    counter += registers[destination] == immediate ? instruction.Offset : 0;
                    break;
                case 0x55:
                    counter += registers[destination] != immediate ? instruction.Offset : 0;
                    break;
                case 0x5D:
                    counter += registers[destination] != registers[source] ? instruction.Offset : 0;
                    break;
                case 0x95:
                    return registers[0] != 0;
                default:
                    Assert.Fail($"unexpected instruction 0x{instruction.Code:x}");
                    break;
            }
        }
    }
}
