namespace Slipway.Build.Syntax;

/// <summary>A word of an instruction as it stands there, with its quotes and escapes.</summary>
/// <param name="Offset">Of its first character in the line.</param>
internal readonly record struct Word(string Text, int Offset)
{
    /// <summary>The words of a line: white space separates them, but not within quotes and not after an escape character.</summary>
    /// <param name="start">Where the words begin.</param>
    public static List<Word> Split(string line, int start, char escape)
    {
        List<Word> words = [];
        int begin = -1;
        char quote = '\0';
        for (int i = start; i < line.Length; i++)
        {
            char c = line[i];
            if (quote == '\0' && char.IsWhiteSpace(c))
            {
                if (begin >= 0)
                {
                    words.Add(new Word(line[begin..i], begin));
                    begin = -1;
                }

                continue;
            }

            if (begin < 0)
            {
                begin = i;
            }

            if (c == escape && quote != '\'')
            {
                i++;
            }
            else if (quote != '\0')
            {
                quote = c == quote ? '\0' : quote;
            }
            else if (c is '"' or '\'')
            {
                quote = c;
            }
        }

        if (begin >= 0)
        {
            words.Add(new Word(line[begin..], begin));
        }

        return words;
    }
}
