using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Slipway.Build.Syntax;

/// <summary>
/// Reads Dockerfiles as the reference describes them (docs.docker.com/reference/dockerfile). What is wrong is said in BuildKit's words, with the place.
/// </summary>
public sealed partial class DockerfileParser
{
    /// <summary>Characters of a Dockerfile; there is no reason for more, and each is looked at a few times.</summary>
    public const int MaximumLength = 16 << 20;

    private static readonly string[] s_keywords =
    [
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    ];

    private readonly LineReader _reader;
    private readonly char _escape;

    private DockerfileParser(string text)
    {
        _reader = new LineReader(text);
        _escape = _reader.Directives.Escape;
    }

    /// <exception cref="DockerfileException">It cannot be meant.</exception>
    public static DockerfileDocument Parse(string text) =>
        text.Length <= MaximumLength ? new DockerfileParser(text).Parse() : throw new DockerfileException($"the Dockerfile has more than {MaximumLength} characters");

    /// <summary>An instruction alone, as a base image's triggers are.</summary>
    /// <exception cref="DockerfileException">It is none, or one that cannot be a trigger.</exception>
    public static Instruction ParseTrigger(string text)
    {
        DockerfileParser parser = new(text);
        LogicalLine line = parser._reader.Read() ?? throw new DockerfileException("file with no instructions", kind: DockerfileErrorKind.Syntax);
        Instruction instruction = parser.Parse(line);
        RefuseTrigger(line, 0, instruction.Keyword);
        return instruction;
    }

    /// <summary>Instructions without stages.</summary>
    /// <param name="check">Told each keyword as it stands there, before its instruction is read.</param>
    /// <exception cref="DockerfileException">They cannot be meant.</exception>
    public static IReadOnlyList<Instruction> ParseInstructions(string text, Action<string> check)
    {
        DockerfileParser parser = new(text);
        List<Instruction> instructions = [];
        while (parser._reader.Read() is { } line)
        {
            check(line.Text.Split(' ', '\t')[0]);
            instructions.Add(parser.Parse(line));
        }

        return instructions;
    }

    private DockerfileDocument Parse()
    {
        List<ArgInstruction> global = [];
        List<Stage> stages = [];
        List<Instruction> current = [];
        bool any = false;
        while (_reader.Read() is { } line)
        {
            any = true;
            Instruction instruction = Parse(line);
            switch (instruction)
            {
                case FromInstruction from:
                    stages.Add(new Stage(stages.Count, from, current = []));
                    break;
                case ArgInstruction argument when stages.Count == 0:
                    global.Add(argument);
                    break;
                default:
                    if (stages.Count == 0)
                    {
                        throw line.Error(0, "no build stage in current context", DockerfileErrorKind.Meaning);
                    }

                    current.Add(instruction);
                    break;
            }
        }

        if (stages.Count == 0)
        {
            throw any ? new DockerfileException("dockerfile contains no stages to build") : new DockerfileException("file with no instructions", kind: DockerfileErrorKind.Syntax);
        }

        return new DockerfileDocument(_reader.Directives, global, stages, _reader.EmptyContinuations);
    }

    private Instruction Parse(LogicalLine line)
    {
        string text = line.Text;
        int end = text.AsSpan().IndexOfAny(" \t\v\f\r");
        string typed = end < 0 ? text : text[..end];
        string keyword = typed.ToUpperInvariant();
        if (!s_keywords.Contains(keyword))
        {
            throw line.Error(0, Suggestion.Add($"unknown instruction: {typed}", keyword, s_keywords));
        }

        int start = end < 0 ? text.Length : text.AsSpan(end).IndexOfAnyExcept(" \t\v\f\r") is >= 0 and var blank ? end + blank : text.Length;
        string original = text.TrimEnd();
        Flags flags = new(line, _escape, ref start);
        Arguments arguments = new(line, start, _escape);
        SourceLines lines = new(line.FirstLine, line.End);
        Instruction instruction = keyword switch
        {
            "FROM" => From(arguments, flags) with { Keyword = keyword, Lines = lines, Original = original },
            _ => Parse(keyword, arguments, flags, lines, original),
        };
        flags.RefuseUnknown();
        return instruction;

        FromInstruction From(Arguments words, Flags given)
        {
            string? platform = given.One("platform");
            List<Word> parts = words.Words();
            if (parts.Count is not (1 or 3) || (parts.Count == 3 && !parts[1].Text.Equals("AS", StringComparison.OrdinalIgnoreCase)))
            {
                throw line.Error(0, "FROM requires either one or three arguments");
            }

            string? name = parts.Count == 3 ? parts[2].Text.ToLowerInvariant() : null;
            if (name is not null && !StageName().IsMatch(name))
            {
                throw line.Error(parts[2].Offset, $"invalid name for build stage: \"{parts[2].Text}\", name can't start with a number or contain symbols");
            }

            return new FromInstruction(parts[0].Text, name, platform) { Keyword = keyword, Lines = lines, Original = original };
        }
    }

    private Instruction Parse(string keyword, Arguments arguments, Flags flags, SourceLines lines, string original) => keyword switch
    {
        "ARG" => new ArgInstruction(BuildArguments(arguments)) { Keyword = keyword, Lines = lines, Original = original },
        "RUN" when flags.Take("mount") is var mounts => new RunInstruction(
            arguments.Command(required: keyword), [.. mounts.Select(mount => RunMount.Parse(arguments.Line, mount.Offset, mount.Value))], Network(arguments, flags), Security(arguments, flags))
        {
            Keyword = keyword, Lines = lines, Original = original, Heredocs = arguments.Line.Heredocs,
        },
        "COPY" => Transfer(
            arguments, flags, (sources, destination) => new CopyInstruction(sources, destination, flags.One("from") is { Length: > 0 } from ? from : null) { Keyword = keyword, Lines = lines, Original = original }),
        "ADD" => Transfer(
            arguments,
            flags,
            (sources, destination) => new AddInstruction(sources, destination, flags.One("checksum"), flags.IsSet("keep-git-dir"), Unpack(flags))
            {
                Keyword = keyword, Lines = lines, Original = original,
            }),
        "ENV" => new EnvInstruction(arguments.Pairs(keyword)) { Keyword = keyword, Lines = lines, Original = original },
        "LABEL" => new LabelInstruction(arguments.Pairs(keyword)) { Keyword = keyword, Lines = lines, Original = original },
        "EXPOSE" => new ExposeInstruction(arguments.AtLeastOne(keyword)) { Keyword = keyword, Lines = lines, Original = original },
        "VOLUME" => new VolumeInstruction(Volumes(arguments)) { Keyword = keyword, Lines = lines, Original = original },
        "USER" => new UserInstruction(arguments.Single(keyword)) { Keyword = keyword, Lines = lines, Original = original },
        "WORKDIR" => new WorkdirInstruction(arguments.Single(keyword)) { Keyword = keyword, Lines = lines, Original = original },
        "CMD" => new CmdInstruction(arguments.Command(required: null)) { Keyword = keyword, Lines = lines, Original = original },
        "ENTRYPOINT" => new EntrypointInstruction(arguments.Command(required: null)) { Keyword = keyword, Lines = lines, Original = original },
        "SHELL" => new ShellInstruction(arguments.Shell()) { Keyword = keyword, Lines = lines, Original = original },
        "STOPSIGNAL" => new StopsignalInstruction(arguments.Single(keyword)) { Keyword = keyword, Lines = lines, Original = original },
        "MAINTAINER" => new MaintainerInstruction(arguments.Single(keyword)) { Keyword = keyword, Lines = lines, Original = original },
        "HEALTHCHECK" => Healthcheck(arguments, flags, keyword, lines, original),
        "ONBUILD" => Onbuild(arguments, keyword, lines, original),
        _ => throw new ArgumentOutOfRangeException(nameof(keyword), keyword, null),
    };

    private static List<BuildArgument> BuildArguments(Arguments arguments)
    {
        List<Word> words = arguments.Words();
        return words.Count == 0
            ? throw arguments.Error("ARG requires at least one argument")
            : [.. words.Select(word => word.Text.Split('=', 2) is [var name, var value] ? new BuildArgument(Named(name, word), value) : new BuildArgument(Named(word.Text, word), null))];

        string Named(string name, Word word) => name.Length > 0 ? name : throw arguments.Line.Error(word.Offset, "ARG names can not be blank");
    }

    private static string? Network(Arguments arguments, Flags flags) => flags.One("network") is not { } network ? null
        : network is "default" or "none" or "host" ? network : throw arguments.Error($"invalid network mode \"{network}\"");

    private static string? Security(Arguments arguments, Flags flags) => flags.One("security") is not { } security ? null
        : security is "sandbox" or "insecure" ? security : throw arguments.Error($"security \"{security}\" is not valid");

    private static bool? Unpack(Flags flags) => flags.IsSet("unpack") ? true : flags.Take("unpack").Count > 0 ? false : null;

    private static T Transfer<T>(Arguments arguments, Flags flags, Func<IReadOnlyList<string>, string, T> make)
        where T : TransferInstruction
    {
        List<string> words = arguments.ListOrWords();
        if (words.Count < 2)
        {
            throw arguments.Error($"{arguments.Keyword} requires at least two arguments, but only one was provided. Destination could not be determined");
        }

        HashSet<string> marks = [.. arguments.Words().Where(word => HeredocMark.TryParse(word) is not null).Select(word => word.Text)];
        IReadOnlyList<Heredoc> heredocs = arguments.Line.Heredocs;
        if (heredocs.Count > 0 && marks.Contains(words[^1]))
        {
            throw arguments.Error($"{arguments.Keyword} cannot accept a heredoc as a destination");
        }

        return make([.. words[..^1].Where(word => heredocs.Count == 0 || !marks.Contains(word))], words[^1]) with
        {
            Owner = flags.One("chown"),
            Mode = flags.One("chmod"),
            Link = flags.IsSet("link"),
            Parents = flags.IsSet("parents"),
            Excludes = [.. flags.Take("exclude").Select(flag => flag.Value)],
            Heredocs = heredocs,
        };
    }

    private static List<string> Volumes(Arguments arguments)
    {
        List<string> paths = arguments.ListOrWords();
        return paths.Count == 0 ? throw arguments.Error("VOLUME requires at least one argument")
            : paths.TrueForAll(path => path.Trim().Length > 0) ? paths
            : throw arguments.Error("VOLUME specified can not be an empty string");
    }

    private static HealthcheckInstruction Healthcheck(Arguments arguments, Flags flags, string keyword, SourceLines lines, string original)
    {
        (string kind, Arguments rest) = arguments.Next();
        if (kind.Length == 0)
        {
            throw arguments.Error("HEALTHCHECK requires at least one argument");
        }

        HealthcheckInstruction instruction = new(kind.ToUpperInvariant() switch
        {
            "NONE" => rest.Text.Length == 0 ? null : throw arguments.Error("HEALTHCHECK NONE takes no arguments"),
            "CMD" => rest.Command(required: null) is { IsEmpty: false } command ? command : throw arguments.Error("missing command after HEALTHCHECK CMD"),
            _ => throw arguments.Error($"unknown type \"{kind.ToUpperInvariant()}\" in HEALTHCHECK (try CMD)"),
        })
        {
            Keyword = keyword,
            Lines = lines,
            Original = original,
        };
        return instruction with
        {
            Interval = Duration("interval"),
            Timeout = Duration("timeout"),
            StartPeriod = Duration("start-period"),
            StartInterval = Duration("start-interval"),
            Retries = flags.Take("retries") is [var given, ..] ? Retries(given.Value, given.Offset) : null,
        };

        TimeSpan? Duration(string name)
        {
            if (flags.One(name) is not { Length: > 0 } value)
            {
                return null;
            }

            try
            {
                TimeSpan duration = GoDuration.Parse(value);
                return duration == TimeSpan.Zero || duration >= TimeSpan.FromMilliseconds(1) ? duration : throw arguments.Error($"Interval \"{name}\" cannot be less than 1ms");
            }
            catch (FormatException error)
            {
                throw arguments.Error(error.Message);
            }
        }

        int Retries(string value, int offset) =>
            !int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int retries) ? throw arguments.Line.Error(offset, $"strconv.ParseInt: parsing \"{value}\": invalid syntax")
            : retries < 0 ? throw arguments.Line.Error(offset, $"--retries cannot be negative ({retries})")
            : retries;
    }

    private OnbuildInstruction Onbuild(Arguments arguments, string keyword, SourceLines lines, string original)
    {
        (string trigger, _) = arguments.Next();
        if (trigger.Length == 0)
        {
            throw arguments.Error("ONBUILD requires at least one argument");
        }

        RefuseTrigger(arguments.Line, arguments.Offset, trigger.ToUpperInvariant());

        // It is executed in another build, but whether it can be is known now.
        LogicalLine inner = new() { Heredocs = arguments.Line.Heredocs };
        inner.Append(arguments.Text, arguments.Line.At(arguments.Offset));
        inner.End = arguments.Line.End;
        _ = Parse(inner);
        string documents = string.Concat(arguments.Line.Heredocs.Select(heredoc => $"\n{heredoc.Content}{heredoc.Name}"));
        return new OnbuildInstruction(arguments.Text + documents) { Keyword = keyword, Lines = lines, Original = original };
    }

    private static void RefuseTrigger(LogicalLine line, int offset, string trigger)
    {
        switch (trigger)
        {
            case "ONBUILD":
                throw line.Error(offset, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
            case "MAINTAINER" or "FROM":
                throw line.Error(offset, $"{trigger} isn't allowed as an ONBUILD trigger");
        }
    }

    [GeneratedRegex("^[a-z][a-z0-9-_.]*$")]
    private static partial Regex StageName();

    /// <summary>What follows an instruction's flags.</summary>
    private sealed class Arguments(LogicalLine line, int offset, char escape)
    {
        public LogicalLine Line => line;

        public int Offset => offset;

        public string Text { get; } = line.Text[offset..].TrimEnd();

        public string Keyword => line.Text.Split(' ', '\t')[0].ToUpperInvariant();

        public DockerfileException Error(string problem, DockerfileErrorKind kind = DockerfileErrorKind.Instruction) => line.Error(Math.Min(offset, Math.Max(0, line.Text.Length - 1)), problem, kind);

        public List<Word> Words() => Word.Split(line.Text, offset, escape);

        /// <summary>The first word and what follows it.</summary>
        public (string First, Arguments After) Next()
        {
            int end = Text.AsSpan().IndexOfAny(' ', '\t');
            if (end < 0)
            {
                return (Text, new Arguments(line, offset + Text.Length, escape));
            }

            int next = end + Text.AsSpan(end).IndexOfAnyExcept(' ', '\t');
            return (Text[..end], new Arguments(line, offset + next, escape));
        }

        public List<string> AtLeastOne(string keyword)
        {
            List<Word> words = Words();
            return words.Count > 0 ? [.. words.Select(word => word.Text)] : throw Error($"{keyword} requires at least one argument");
        }

        /// <summary>All that is there is one value.</summary>
        public string Single(string keyword) => Text.Length > 0 ? Text : throw Error($"{keyword} requires exactly one argument");

        public CommandLine Command(string? required)
        {
            CommandLine command = new(List(), Text);
            return command.IsEmpty && required is not null ? throw Error($"{required} requires at least one argument") : command;
        }

        public List<string> ListOrWords() => List() ?? [.. Words().Select(word => word.Text)];

        public List<string> Shell() => List() switch
        {
            null when Text.Length > 0 => throw Error("SHELL requires the arguments to be in JSON form"),
            null or [] => throw Error("SHELL requires at least one argument"),
            var shell => shell,
        };

        /// <summary><c>name=value name=value</c>, or the old <c>name value</c>.</summary>
        public List<NameValue> Pairs(string keyword)
        {
            List<Word> words = Words();
            if (words.Count == 0)
            {
                throw Error($"{keyword} requires at least one argument");
            }

            if (!words[0].Text.Contains('=', StringComparison.Ordinal))
            {
                return words.Count > 1 ? [new NameValue(words[0].Text, line.Text[words[1].Offset..].TrimEnd())] : throw Error($"{keyword} must have two arguments", DockerfileErrorKind.Syntax);
            }

            return [.. words.Select(word => word.Text.Split('=', 2) switch
            {
                [{ Length: > 0 } name, var value] => new NameValue(name, value),
                ["", _] => throw line.Error(word.Offset, $"{keyword} names can not be blank"),
                _ => throw line.Error(word.Offset, $"Syntax error - can't find = in {GoQuote.Of(word.Text)}. Must be of the form: name=value", DockerfileErrorKind.Syntax),
            })];
        }

        /// <summary>A list in JSON's form; null: something else. What only looks like one is a command line, as in BuildKit.</summary>
        private List<string>? List()
        {
            if (!Text.StartsWith('['))
            {
                return null;
            }

            try
            {
                using JsonDocument document = JsonDocument.Parse(Text);
                return [.. document.RootElement.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String
                    ? item.GetString()!
                    : throw Error("when using JSON array syntax, arrays must be comprised of strings only", DockerfileErrorKind.Syntax))];
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }
}
