using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Kernel.Process;

/// <summary>A mapping of a process.</summary>
/// <param name="End">Address after its last byte.</param>
/// <param name="Name">A file, a name of the kernel's in brackets, or nothing.</param>
internal readonly record struct MemoryArea(nuint Start, nuint End, string Name)
{
    /// <summary>What the kernel maps into every process and may refuse to unmap (mseal(2) of system mappings).</summary>
    public bool IsKernels => Name is "[vdso]" or "[vsyscall]" || Name.StartsWith("[vvar", StringComparison.Ordinal);

    public bool Contains(nuint address) => address >= Start && address < End;
}

/// <summary>The mappings of this process (proc_pid_maps(5)), in order of their addresses.</summary>
internal static class MemoryMap
{
    private const int MaxBytes = 4 << 20;

    public static List<MemoryArea> OfThisProcess()
    {
        using SafeFileHandle file = new HostPath("/proc/self/maps").Open(OpenFlags.ReadOnly);
        List<MemoryArea> areas = [];
        foreach (string line in Encoding.UTF8.GetString(Descriptors.ReadToEnd(file, MaxBytes)).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            areas.Add(Parse(line));
        }

        return areas;
    }

    /// <summary>The holes between <paramref name="kept"/> from the first to the last of <paramref name="areas"/>, each to be unmapped at once.</summary>
    public static List<MemoryArea> Around(IEnumerable<MemoryArea> kept, IReadOnlyList<MemoryArea> areas)
    {
        List<MemoryArea> holes = [];
        nuint from = areas[0].Start;
        foreach (MemoryArea area in kept.OrderBy(area => area.Start))
        {
            if (area.Start > from)
            {
                holes.Add(new MemoryArea(from, area.Start, ""));
            }

            from = Math.Max(from, area.End);
        }

        if (areas[^1].End > from)
        {
            holes.Add(new MemoryArea(from, areas[^1].End, ""));
        }

        return holes;
    }

    /// <exception cref="FormatException">Not such a line.</exception>
    internal static MemoryArea Parse(string line)
    {
        string[] fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string[] range = fields.Length == 0 ? [] : fields[0].Split('-');
        return range.Length == 2 && nuint.TryParse(range[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out nuint start)
            && nuint.TryParse(range[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out nuint end)
            ? new MemoryArea(start, end, fields.Length > 5 ? fields[5] : "")
            : throw new FormatException($"a line of /proc/self/maps: {line}");
    }
}
