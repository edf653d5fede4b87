using System.Text;

namespace Slipway.Build.Syntax;

/// <summary>An instruction's line with its continuations joined, and where each of its characters came from.</summary>
internal sealed class LogicalLine
{
    private readonly List<(int Offset, SourcePosition Position)> _pieces = [];

    private readonly StringBuilder _joined = new();
    private string? _text;

    public string Text => _text ??= _joined.ToString();

    public int FirstLine => _pieces[0].Position.Line;

    /// <summary>Of the line itself, without here-documents.</summary>
    public int LastLine { get; private set; }

    public IReadOnlyList<Heredoc> Heredocs { get; set; } = [];

    /// <summary>The last line, here-documents included.</summary>
    public int End { get; set; }

    /// <param name="position">Of the first character of <paramref name="text"/>.</param>
    public void Append(string text, SourcePosition position)
    {
        _pieces.Add((_joined.Length, position));
        _joined.Append(text);
        _text = null;
        (LastLine, End) = (position.Line, position.Line);
    }

    /// <summary>Where a character of <see cref="Text"/> is in the file.</summary>
    public SourcePosition At(int offset)
    {
        (int start, SourcePosition position) = _pieces.FindLast(piece => piece.Offset <= offset);
        return position with { Column = position.Column + offset - start };
    }

    public DockerfileException Error(int offset, string problem, DockerfileErrorKind kind = DockerfileErrorKind.Instruction) => new(problem, At(offset), kind);
}

/// <summary>A document within the Dockerfile (Dockerfile reference, "Here-documents").</summary>
/// <param name="Name">The word that ends it.</param>
/// <param name="Content">With a line break at the end of each line; without leading tabs where the mark was <c>&lt;&lt;-</c>.</param>
/// <param name="Expands">Variables in it are replaced; false where the word was quoted.</param>
/// <param name="FileDescriptor">What a shell reads it from; 0 unless a number stands before the mark.</param>
public sealed record Heredoc(string Name, string Content, bool Expands, int FileDescriptor);
