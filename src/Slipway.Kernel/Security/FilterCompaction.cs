using System.Runtime.InteropServices;

namespace Slipway.Kernel.Security;

/// <summary>
/// Makes a seccomp program shorter that answers the same. libseccomp compares a call's number with every number that a rule names; most of the
/// numbers beside each other have the same answer. The kernel translates the program anew for each process that installs it, so its length is
/// time in every start.
/// </summary>
/// <remarks>
/// The program is followed for every architecture it names and for all others, with the ranges of numbers that take the same way
/// (<see cref="FilterPaths"/>), up to an answer or to the first look at an argument. What comes out is a search tree of the ranges for each
/// architecture; code that looks at arguments is taken over as it is. It is written from its end, so that every jump's target is known.
/// </remarks>
internal static class FilterCompaction
{
    private const int FarthestJump = byte.MaxValue;

    /// <summary>The shorter program, or the same where it holds something that libseccomp does not write, or would not get shorter.</summary>
    public static byte[] Compact(byte[] program)
    {
        FilterInstruction[] instructions = MemoryMarshal.Cast<byte, FilterInstruction>(program).ToArray();
        if (FilterPaths.Find(instructions) is not { } paths)
        {
            return program;
        }

        Writer writer = new(instructions);
        FilterInstruction[] compact = writer.Write(paths);
        return compact.Length < instructions.Length ? MemoryMarshal.AsBytes(compact.AsSpan()).ToArray() : program;
    }

    /// <summary>Writes a program backwards. A place is a count of the instructions from it to the end.</summary>
    private sealed class Writer(FilterInstruction[] source)
    {
        private readonly List<FilterInstruction> _reversed = [];
        private readonly Dictionary<uint, int> _returns = [];

        /// <summary>Where an instruction of the source, which looks at arguments or follows one that does, has come to.</summary>
        private readonly SortedDictionary<int, int> _copied = [];

        public FilterInstruction[] Write(IReadOnlyList<ArchitecturePaths> architectures)
        {
            Copy([.. architectures.SelectMany(architecture => architecture.Ranges).Where(range => !range.Leaf.IsReturn).Select(range => range.Leaf.Entry)]);
            int next = -1;
            foreach (ArchitecturePaths architecture in architectures.Reverse())
            {
                Section(architecture.Ranges);
                int section = Add(new FilterInstruction(FilterCode.Load, 0, 0, FilterCode.NumberOffset));

                // The last section is for the architectures that have none: whoever comes so far needs no comparison.
                next = architecture.Architecture is { } value ? Branch(FilterCode.JumpIfEqual, value, section, next) : section;
            }

            Add(new FilterInstruction(FilterCode.Load, 0, 0, FilterCode.ArchitectureOffset));
            _reversed.Reverse();
            return [.. _reversed];
        }

        /// <summary>The search tree of an architecture's ranges, with the number loaded. It begins at the place that is written last.</summary>
        private void Section(IReadOnlyList<NumberRange> ranges)
        {
            int entry = Tree(ranges, 0, ranges.Count);
            if (entry != _reversed.Count)
            {
                // A single range, whose answer stands farther on.
                Jump(entry);
            }
        }

        private int Tree(IReadOnlyList<NumberRange> ranges, int first, int end)
        {
            if (end - first == 1)
            {
                return Place(ranges[first].Leaf);
            }

            int middle = (first + end) / 2;
            int upper = Tree(ranges, middle, end);
            int lower = Tree(ranges, first, middle);

            // Meanwhile an answer may have got out of reach: another copy of it is no longer than a jump.
            if (end - middle == 1 && !Reaches(upper, 1))
            {
                upper = Place(ranges[middle].Leaf);
            }

            return Branch(FilterCode.JumpIfGreaterOrEqual, ranges[middle].First, upper, lower);
        }

        private int Place(FilterLeaf leaf)
        {
            if (!leaf.IsReturn)
            {
                return _copied[leaf.Entry];
            }

            // Two more may be written before the jump that leads here: each of its targets may need one of its own.
            if (!_returns.TryGetValue(leaf.Action, out int place) || !Reaches(place, 2))
            {
                place = Add(new FilterInstruction(FilterCode.Return, 0, 0, leaf.Action));
                _returns[leaf.Action] = place;
            }

            return place;
        }

        private int Branch(ushort code, uint constant, int ifTrue, int ifFalse)
        {
            // Each jump that is put in may take the other out of reach, so the nearer one is looked at last.
            ifTrue = Reaches(ifTrue, 1) ? ifTrue : Jump(ifTrue);
            ifFalse = Reaches(ifFalse, 0) ? ifFalse : Jump(ifFalse);
            return Add(new FilterInstruction(code, Offset(ifTrue), Offset(ifFalse), constant));
        }

        private int Jump(int place) => Add(new FilterInstruction(FilterCode.Jump, 0, 0, (uint)(_reversed.Count - place)));

        /// <summary>Takes over all that can be reached from the entries.</summary>
        private void Copy(int[] entries)
        {
            SortedSet<int> reachable = [];
            Stack<int> open = new(entries);
            while (open.TryPop(out int at))
            {
                if (reachable.Add(at))
                {
                    foreach (int next in FilterCode.Successors(source[at], at))
                    {
                        open.Push(next);
                    }
                }
            }

            foreach (int at in reachable.Reverse())
            {
                FilterInstruction instruction = source[at];
                int[] next = [.. FilterCode.Successors(instruction, at).Select(successor => _copied[successor])];
                _copied[at] = instruction.Code switch
                {
                    FilterCode.Jump => next[0],
                    _ when FilterCode.IsBranch(instruction.Code) => Branch(instruction.Code, instruction.Constant, next[0], next[1]),
                    FilterCode.Return => Place(FilterLeaf.Return(instruction.Constant)),
                    _ => Followed(instruction, next[0]),
                };
            }
        }

        /// <summary>An instruction that the next one follows, with a jump between them where that stands elsewhere.</summary>
        private int Followed(FilterInstruction instruction, int next)
        {
            if (next != _reversed.Count)
            {
                Jump(next);
            }

            return Add(instruction);
        }

        private int Add(FilterInstruction instruction)
        {
            _reversed.Add(instruction);
            return _reversed.Count;
        }

        /// <summary>Whether a jump reaches a place after <paramref name="more"/> other instructions are written.</summary>
        private bool Reaches(int place, int more) => _reversed.Count + more - place <= FarthestJump;

        private byte Offset(int place) => checked((byte)(_reversed.Count - place));
    }
}
