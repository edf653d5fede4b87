using Slipway.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Unit.Process;

/// <summary>Which lines of /proc/self/maps (proc_pid_maps(5)) a child does without.</summary>
public sealed class ChildMemoryTests
{
    [Theory]
    [InlineData("7fd30e400000-7fd310244000 r-xp 00000000 fe:00 3793174                    /usr/lib/slipway/slipway.r2r.dll")]
    [InlineData("55affd530000-55affd674000 rw-p 00000000 00:00 0                          [heap]")]
    [InlineData("7f97fa2e4000-7f97fa2e8000 rw-s 00000000 00:01 1034                       /memfd:doublemapper (deleted)")]
    [InlineData("7f97fa610000-7f9876000000 ---p 00000000 00:00 0 ")]
    public void Left_out(string line)
    {
        Assert.True(ChildMemory.TryParseImage(line, out var start, out var end));
        Assert.Equal(line.Split(' ')[0], $"{start:x}-{end:x}");
    }

    [Theory]
    [InlineData("7f98766cb000-7f9876720000 rw-p 00000000 00:00 0 ")]
    [InlineData("7ffffec6b000-7ffffec8c000 rw-p 00000000 00:00 0                          [stack]")]
    [InlineData("7f9876eef000-7f9876ef1000 r-xp 00000000 00:00 0                          [vdso]")]
    [InlineData("7f9876e20000-7f9876e30000 rw-s 00000000 00:01 1040                       /dev/zero (deleted)")]
    [InlineData("nonsense")]
    [InlineData("")]
    public void Kept(string line) => Assert.False(ChildMemory.TryParseImage(line, out _, out _));
}
