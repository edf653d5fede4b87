namespace Slipway.Runtime.Compilation;

/// <summary>Why no plan could be made, as far as callers act on it.</summary>
public enum PlanFailureKind
{
    /// <summary>The specification asks for what cannot be; the caller's error.</summary>
    Invalid,

    /// <summary>The program does not exist (docker run: exit code 127).</summary>
    ExecutableNotFound,

    /// <summary>The program exists and cannot be executed (docker run: exit code 126).</summary>
    ExecutableNotPermitted,
}

/// <summary>A container or exec that cannot be started as specified. The message is runc's where clients match on it.</summary>
public sealed class PlanException(PlanFailureKind kind, string message, Exception? cause = null) : Exception(message, cause)
{
    public PlanFailureKind Kind { get; } = kind;

    internal static PlanException Invalid(string message, Exception? cause = null) => new(PlanFailureKind.Invalid, message, cause);
}
