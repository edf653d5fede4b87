using Slipway.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Unit.Process;

/// <summary>Lines of /proc/self/maps (proc_pid_maps(5)), and what lies between those that a process keeps.</summary>
public sealed class MemoryMapTests
{
    [Theory]
    [InlineData("7fd30e400000-7fd310244000 r-xp 00000000 fe:00 3793174                    /usr/lib/a file.dll", "/usr/lib/a file.dll", false)]
    [InlineData("7f97fa610000-7f9876000000 ---p 00000000 00:00 0 ", "", false)]
    [InlineData("7f9876eef000-7f9876ef1000 r-xp 00000000 00:00 0                          [vdso]", "[vdso]", true)]
    [InlineData("7f9876eeb000-7f9876eef000 r--p 00000000 00:00 0                          [vvar]", "[vvar]", true)]
    [InlineData("7f9876eed000-7f9876eef000 r--p 00000000 00:00 0                          [vvar_vclock]", "[vvar_vclock]", true)]
    public void A_line_is_read(string line, string name, bool isKernels)
    {
        MemoryArea area = MemoryMap.Parse(line);
        Assert.Equal((line.Split(' ')[0], name, isKernels), ($"{area.Start:x}-{area.End:x}", area.Name, area.IsKernels));
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("")]
    [InlineData("1000 r-xp 0 0 0")]
    public void Another_line_is_refused(string line) => Assert.Throws<FormatException>(() => MemoryMap.Parse(line));

    [Theory]
    [InlineData("", "10-90")]
    [InlineData("10-20", "20-90")]
    [InlineData("80-90", "10-80")]
    [InlineData("60-70 20-30", "10-20 30-60 70-90")]
    [InlineData("20-40 30-50", "10-20 50-90")]
    [InlineData("10-90", "")]
    [InlineData("95-99", "10-95")]
    public void What_is_kept_has_holes_around_it(string kept, string holes) =>
        Assert.Equal(holes, string.Join(' ', MemoryMap.Around(Areas(kept), Areas("10-30 30-50 60-90")).Select(hole => $"{hole.Start}-{hole.End}")));

    private static List<MemoryArea> Areas(string text) =>
    [
        .. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(range => range.Split('-'))
            .Select(range => new MemoryArea(nuint.Parse(range[0], null), nuint.Parse(range[1], null), "")),
    ];
}
