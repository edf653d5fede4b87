using System.Globalization;
using Slipway.Build.Graph;
using Slipway.Build.Syntax;

namespace Slipway.Engine.Builds;

/// <summary>Instructions that the lines and stages mean which a user names.</summary>
internal static class Breakpoints
{
    /// <param name="graphs">Of one Dockerfile.</param>
    /// <exception cref="EngineException">InvalidParameter: the build would never stop there.</exception>
    public static HashSet<Instruction> Find(IReadOnlyList<StageGraph> graphs, IReadOnlyList<string> breakpoints)
    {
        HashSet<Instruction> found = new(ReferenceEqualityComparer.Instance);
        foreach (string breakpoint in breakpoints)
        {
            Instruction[] meant = [.. graphs.Select(graph => Find(graph, breakpoint)).OfType<Instruction>()];
            if (meant.Length == 0)
            {
                throw new EngineException(
                    ErrorKind.InvalidParameter, $"breakpoint \"{breakpoint}\" is neither a line of an instruction after FROM nor a stage with instructions, of what the target needs");
            }

            found.UnionWith(meant);
        }

        return found;
    }

    private static Instruction? Find(StageGraph graph, string breakpoint) =>
        int.TryParse(breakpoint, NumberStyles.None, CultureInfo.InvariantCulture, out int line)
            ? graph.Stages.SelectMany(stage => stage.Stage.Instructions).FirstOrDefault(instruction => instruction.Lines.First <= line && line <= instruction.Lines.Last)
            : graph.Stages.LastOrDefault(stage => string.Equals(stage.Name, breakpoint, StringComparison.OrdinalIgnoreCase))?.Stage.Instructions is [var begin, ..] ? begin : null;
}
