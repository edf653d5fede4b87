namespace Slipway.Build.Syntax;

/// <summary>An instruction of a Dockerfile. Its words are as they stand there: variables in them are replaced when it is executed.</summary>
public abstract record Instruction
{
    /// <summary>In upper case.</summary>
    public required string Keyword { get; init; }

    public required SourceLines Lines { get; init; }

    /// <summary>As it stands in the file, continuations joined: what a history shows.</summary>
    public required string Original { get; init; }
}

/// <summary>A command: a list is executed as it is, a text by a shell.</summary>
/// <param name="List">Null: it is <paramref name="Text"/>.</param>
public sealed record CommandLine(IReadOnlyList<string>? List, string Text)
{
    public bool IsEmpty => List is { Count: 0 } || (List is null && Text.Length == 0);
}

/// <summary>A name with its value, both unexpanded.</summary>
public sealed record NameValue(string Name, string Value);

/// <summary>Begins a stage.</summary>
/// <param name="Base">An image, an earlier stage, a named context, or <c>scratch</c>.</param>
/// <param name="StageName">In lower case; null: none.</param>
public sealed record FromInstruction(string Base, string? StageName, string? Platform) : Instruction;

/// <param name="Value">Null: the value must be given from outside.</param>
public sealed record BuildArgument(string Name, string? Value);

public sealed record ArgInstruction(IReadOnlyList<BuildArgument> Arguments) : Instruction;

public sealed record RunInstruction(CommandLine Command, IReadOnlyList<RunMount> Mounts, string? Network, string? Security) : Instruction
{
    /// <summary>What a shell reads, or, where the command is nothing else, the script itself.</summary>
    public IReadOnlyList<Heredoc> Heredocs { get; init; } = [];

    /// <summary>The command is the mark of a here-document and nothing else.</summary>
    public bool IsHeredocAlone => Command.Text.StartsWith("<<", StringComparison.Ordinal) && !Command.Text.AsSpan().Trim().ContainsAny(' ', '\t', '\n');
}

/// <summary>COPY or ADD.</summary>
/// <param name="Sources">Paths, and for ADD addresses; those that are here-documents are in <see cref="Heredocs"/> instead.</param>
public abstract record TransferInstruction(IReadOnlyList<string> Sources, string Destination) : Instruction
{
    public string? Owner { get; init; }

    public string? Mode { get; init; }

    public bool Link { get; init; }

    public bool Parents { get; init; }

    public IReadOnlyList<string> Excludes { get; init; } = [];

    /// <summary>Files whose content stands in the Dockerfile, by the names of their marks.</summary>
    public IReadOnlyList<Heredoc> Heredocs { get; init; } = [];
}

/// <param name="From">A stage, a named context or an image; null: the context.</param>
public sealed record CopyInstruction(IReadOnlyList<string> Sources, string Destination, string? From) : TransferInstruction(Sources, Destination);

/// <param name="Checksum">What an address must yield; null: not known.</param>
/// <param name="KeepGitDirectory">Of a repository.</param>
/// <param name="Unpack">Whether archives are unpacked; null: those of the context are, those from addresses are not.</param>
public sealed record AddInstruction(IReadOnlyList<string> Sources, string Destination, string? Checksum, bool KeepGitDirectory, bool? Unpack)
    : TransferInstruction(Sources, Destination);

public sealed record EnvInstruction(IReadOnlyList<NameValue> Variables) : Instruction;

public sealed record LabelInstruction(IReadOnlyList<NameValue> Labels) : Instruction
{
    /// <summary>It comes from the build's options: nothing in it is a variable.</summary>
    public bool IsLiteral { get; init; }
}

public sealed record ExposeInstruction(IReadOnlyList<string> Ports) : Instruction;

public sealed record VolumeInstruction(IReadOnlyList<string> Paths) : Instruction;

public sealed record UserInstruction(string User) : Instruction;

public sealed record WorkdirInstruction(string Path) : Instruction;

public sealed record CmdInstruction(CommandLine Command) : Instruction;

public sealed record EntrypointInstruction(CommandLine Command) : Instruction;

public sealed record ShellInstruction(IReadOnlyList<string> Shell) : Instruction;

public sealed record StopsignalInstruction(string Signal) : Instruction;

public sealed record MaintainerInstruction(string Name) : Instruction;

/// <param name="Command">Null: NONE, which takes away the one of the base.</param>
public sealed record HealthcheckInstruction(CommandLine? Command) : Instruction
{
    public TimeSpan? Interval { get; init; }

    public TimeSpan? Timeout { get; init; }

    public TimeSpan? StartPeriod { get; init; }

    public TimeSpan? StartInterval { get; init; }

    public int? Retries { get; init; }
}

/// <summary>An instruction for builds that start from the image.</summary>
/// <param name="Trigger">As it stands there.</param>
public sealed record OnbuildInstruction(string Trigger) : Instruction;

/// <summary>A stage: the image it starts from and what is done to it.</summary>
/// <param name="Index">From 0.</param>
public sealed record Stage(int Index, FromInstruction From, IReadOnlyList<Instruction> Instructions);

/// <summary>A Dockerfile.</summary>
/// <param name="GlobalArguments">Those before the first stage: for the FROM instructions.</param>
/// <param name="EmptyContinuations">Numbers of empty lines that follow a continued one.</param>
public sealed record DockerfileDocument(Directives Directives, IReadOnlyList<ArgInstruction> GlobalArguments, IReadOnlyList<Stage> Stages, IReadOnlyList<int> EmptyContinuations);
