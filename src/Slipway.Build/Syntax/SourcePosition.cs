namespace Slipway.Build.Syntax;

/// <summary>A place in a Dockerfile.</summary>
/// <param name="Line">From 1.</param>
/// <param name="Column">From 1, in characters.</param>
public readonly record struct SourcePosition(int Line, int Column);

/// <summary>The lines of an instruction, from 1; more than one where it is continued or has here-documents.</summary>
public readonly record struct SourceLines(int First, int Last);
