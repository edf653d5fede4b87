using System.Globalization;
using System.Text;

namespace Slipway.Cli.Output;

/// <summary>Columns as docker prints them: padded to the widest cell and three spaces between.</summary>
internal sealed class Table(params string[] headings)
{
    private const int Gap = 3;
    private readonly List<string[]> _rows = [headings];

    public void Add(params string[] cells) => _rows.Add(cells);

    public void WriteTo(TextWriter writer)
    {
        int[] widths = new int[headings.Length];
        foreach (string[] row in _rows)
        {
            for (int i = 0; i < row.Length; i++)
            {
                widths[i] = Math.Max(widths[i], new StringInfo(row[i]).LengthInTextElements);
            }
        }

        StringBuilder line = new();
        foreach (string[] row in _rows)
        {
            line.Clear();
            for (int i = 0; i < row.Length; i++)
            {
                line.Append(row[i]);
                if (i < row.Length - 1)
                {
                    line.Append(' ', widths[i] - new StringInfo(row[i]).LengthInTextElements + Gap);
                }
            }

            writer.WriteLine(line);
        }
    }
}
