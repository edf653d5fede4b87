namespace Slipway.Engine.Builds;

/// <summary>The user of a client, who looks into steps.</summary>
public interface IBuildDebugger
{
    /// <summary>Numbers of lines and names of stages before which a shell is opened.</summary>
    IReadOnlyList<string> Breakpoints { get; }

    /// <summary>Shows where the build has stopped, and takes the terminal of a shell there.</summary>
    /// <exception cref="IOException">The client is gone.</exception>
    Task<IDebugTerminal> OpenAsync(DebugPlace place, CancellationToken cancellationToken);
}

/// <summary>The terminal of the client, for one shell.</summary>
public interface IDebugTerminal : IAsyncDisposable
{
    /// <summary>The program that is to be run, as a path in the step's root file system.</summary>
    string Shell { get; }

    /// <summary>Of the window, when the shell begins.</summary>
    (ushort Rows, ushort Columns) Size { get; }

    /// <summary>What was typed, or a new size of the window; null: the user is gone.</summary>
    /// <exception cref="IOException">The client is gone.</exception>
    Task<TypedInput?> ReadAsync(CancellationToken cancellationToken);

    /// <summary>Shows what the shell writes.</summary>
    /// <exception cref="IOException">The client is gone.</exception>
    Task WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken);
}

/// <param name="Size">Null: it is the same.</param>
public sealed record TypedInput(ReadOnlyMemory<byte> Data, (ushort Rows, ushort Columns)? Size);

/// <summary>Where a build has stopped.</summary>
/// <param name="Id">Of a status of the step that is told behind all that was told before.</param>
/// <param name="Step">As progress calls it.</param>
/// <param name="File">The Dockerfile.</param>
/// <param name="Error">Null: at a breakpoint.</param>
public sealed record DebugPlace(string Id, string Step, string File, int Line, string? Error);
