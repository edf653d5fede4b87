using System.Text;

namespace Slipway.Build.Syntax;

/// <summary>Joins the lines of a Dockerfile into those of its instructions: comments go, continuations are put together, here-documents are taken up.</summary>
internal sealed class LineReader
{
    private readonly string[] _lines;
    private readonly char _escape;
    private int _next;

    /// <exception cref="DockerfileException">A parser directive cannot be meant.</exception>
    public LineReader(string text)
    {
        _lines = (text.StartsWith('\uFEFF') ? text[1..] : text).Split('\n');
        for (int i = 0; i < _lines.Length; i++)
        {
            _lines[i] = _lines[i].TrimEnd('\r');
        }

        Directives = Directives.Parse(_lines);
        _escape = Directives.Escape;
    }

    public Directives Directives { get; }

    /// <summary>Lines on which a continuation was empty, which BuildKit warns of.</summary>
    public List<int> EmptyContinuations { get; } = [];

    /// <summary>The next instruction's line, or null at the end.</summary>
    /// <exception cref="DockerfileException">A here-document has no end.</exception>
    public LogicalLine? Read()
    {
        while (_next < _lines.Length)
        {
            string line = _lines[_next++];
            int start = IndexOfText(line);
            if (start == line.Length || line[start] == '#')
            {
                continue;
            }

            LogicalLine logical = new();
            string piece = line[start..];
            bool continues = TryCut(ref piece);
            logical.Append(piece, new SourcePosition(_next, start + 1));
            while (continues && _next < _lines.Length)
            {
                line = _lines[_next++];
                int first = IndexOfText(line);
                if (first == line.Length)
                {
                    EmptyContinuations.Add(_next);
                    continue;
                }

                if (line[first] == '#')
                {
                    continue;
                }

                continues = TryCut(ref line);
                logical.Append(line, new SourcePosition(_next, 1));
            }

            ReadHeredocs(logical);
            return logical;
        }

        return null;
    }

    private static int IndexOfText(string line)
    {
        int start = line.AsSpan().IndexOfAnyExcept(" \t\v\f");
        return start < 0 ? line.Length : start;
    }

    /// <summary>Takes the mark of a continuation off: an escape character at the end, or before white space, that is not escaped itself.</summary>
    private bool TryCut(ref string line)
    {
        string trimmed = line.TrimEnd(' ', '\t');
        if (!trimmed.EndsWith(_escape) || (trimmed.Length > 1 && trimmed[^2] == _escape))
        {
            return false;
        }

        line = trimmed[..^1];
        return true;
    }

    private void ReadHeredocs(LogicalLine line)
    {
        List<Heredoc> heredocs = [];
        foreach (HeredocMark mark in HeredocMark.In(line.Text, _escape))
        {
            StringBuilder content = new();
            while (true)
            {
                if (_next == _lines.Length)
                {
                    throw line.Error(mark.Offset, "unterminated heredoc", DockerfileErrorKind.Syntax);
                }

                string next = _lines[_next++];
                string stripped = mark.StripsTabs ? next.TrimStart('\t') : next;
                if (stripped == mark.Name)
                {
                    break;
                }

                content.Append(stripped).Append('\n');
            }

            heredocs.Add(new Heredoc(mark.Name, content.ToString(), mark.Expands, mark.FileDescriptor));
        }

        line.Heredocs = heredocs;
        line.End = heredocs.Count > 0 ? _next : line.LastLine;
    }
}
