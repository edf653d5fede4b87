namespace Slipway.Kernel.Security;

/// <summary>Where a way through a filter ends that looks at the architecture and the number only: in an answer, or at code that looks at arguments.</summary>
/// <param name="Action">The answer.</param>
/// <param name="Entry">Otherwise the index of the instruction that loads an argument; -1 where there is an answer.</param>
internal readonly record struct FilterLeaf(uint Action, int Entry)
{
    public bool IsReturn => Entry < 0;

    public static FilterLeaf Return(uint action) => new(action, -1);

    public static FilterLeaf Arguments(int entry) => new(0, entry);
}

/// <summary>System call numbers from <paramref name="First"/> up to the next range's first.</summary>
internal readonly record struct NumberRange(uint First, FilterLeaf Leaf);

/// <summary>What a filter does for an architecture, AUDIT_ARCH_*; null: for all others.</summary>
/// <param name="Ranges">In order; the first begins at 0.</param>
internal sealed record ArchitecturePaths(uint? Architecture, IReadOnlyList<NumberRange> Ranges);

/// <summary>Follows a filter for every architecture and every number.</summary>
internal static class FilterPaths
{
    /// <summary>More than any program takes that libseccomp writes.</summary>
    private const int MaximumSteps = 4_000_000;

    /// <returns>The architectures that the program names, in its order, and the others last; null where it does what libseccomp's do not.</returns>
    public static IReadOnlyList<ArchitecturePaths>? Find(FilterInstruction[] program)
    {
        if (!FilterCode.IsKnown(program))
        {
            return null;
        }

        List<ArchitecturePaths> all = [];
        foreach (uint? architecture in Architectures(program).Select(value => (uint?)value).Append(null))
        {
            if (Ranges(program, architecture) is not { } ranges)
            {
                return null;
            }

            all.Add(new ArchitecturePaths(architecture, ranges));
        }

        return all;
    }

    /// <summary>Constants that a comparison may compare the architecture with, on whatever way it is come to. Jumps lead forward only.</summary>
    private static IEnumerable<uint> Architectures(FilterInstruction[] program)
    {
        HashSet<uint> seen = [];
        bool[] loaded = new bool[program.Length];
        for (int at = 0; at < program.Length; at++)
        {
            FilterInstruction instruction = program[at];
            bool after = instruction.Code == FilterCode.Load ? instruction.Constant == FilterCode.ArchitectureOffset : loaded[at];
            foreach (int next in FilterCode.Successors(instruction, at))
            {
                loaded[next] |= after;
            }

            if (loaded[at] && instruction.Code == FilterCode.JumpIfEqual && seen.Add(instruction.Constant))
            {
                yield return instruction.Constant;
            }
        }
    }

    private static List<NumberRange>? Ranges(FilterInstruction[] program, uint? architecture)
    {
        List<NumberRange> found = [];
        Stack<(int At, uint? Loaded, uint First, uint Last)> open = new([(0, null, 0, uint.MaxValue)]);
        for (int steps = 0; open.TryPop(out (int At, uint? Loaded, uint First, uint Last) way); steps++)
        {
            if (steps > MaximumSteps)
            {
                return null;
            }

            (int at, uint? loaded, uint first, uint last) = way;
            FilterInstruction instruction = program[at];
            switch (instruction.Code)
            {
                case FilterCode.Return:
                    found.Add(new NumberRange(first, FilterLeaf.Return(instruction.Constant)));
                    break;
                case FilterCode.Load when instruction.Constant >= FilterCode.ArgumentsOffset:
                    found.Add(new NumberRange(first, FilterLeaf.Arguments(at)));
                    break;
                case FilterCode.Load when instruction.Constant is FilterCode.NumberOffset or FilterCode.ArchitectureOffset:
                    open.Push((at + 1, instruction.Constant, first, last));
                    break;
                case FilterCode.Jump:
                    open.Push((FilterCode.Successors(instruction, at)[0], loaded, first, last));
                    break;
                case FilterCode.JumpIfEqual or FilterCode.JumpIfGreater or FilterCode.JumpIfGreaterOrEqual when loaded == FilterCode.NumberOffset:
                    Split(instruction, way, open);
                    break;
                case FilterCode.JumpIfEqual when loaded == FilterCode.ArchitectureOffset:
                    int[] next = FilterCode.Successors(instruction, at);
                    open.Push((architecture == instruction.Constant ? next[0] : next[1], loaded, first, last));
                    break;
                default:
                    return null;
            }
        }

        return Merge(found);
    }

    /// <summary>The numbers of a way go on in up to three: where a comparison holds, below and above.</summary>
    private static void Split(FilterInstruction instruction, (int At, uint? Loaded, uint First, uint Last) way, Stack<(int, uint?, uint, uint)> open)
    {
        // In 64 bits, so that what is beyond the largest number makes an empty range.
        int[] next = FilterCode.Successors(instruction, way.At);
        (ulong from, ulong to) = instruction.Code switch
        {
            FilterCode.JumpIfEqual => ((ulong)instruction.Constant, (ulong)instruction.Constant),
            FilterCode.JumpIfGreater => (instruction.Constant + 1UL, uint.MaxValue),
            _ => (instruction.Constant, uint.MaxValue),
        };
        Push(next[0], Math.Max(from, way.First), Math.Min(to, way.Last));
        Push(next[1], Math.Max(to + 1, way.First), way.Last);
        if (from > 0)
        {
            Push(next[1], way.First, Math.Min(from - 1, way.Last));
        }

        void Push(int at, ulong first, ulong last)
        {
            if (first <= last)
            {
                open.Push((at, way.Loaded, (uint)first, (uint)last));
            }
        }
    }

    private static List<NumberRange> Merge(List<NumberRange> found)
    {
        List<NumberRange> merged = [];
        foreach (NumberRange range in found.OrderBy(range => range.First))
        {
            if (merged.Count == 0 || merged[^1].Leaf != range.Leaf)
            {
                merged.Add(range);
            }
        }

        return merged;
    }
}
