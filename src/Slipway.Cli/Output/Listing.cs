using System.Text.Json.Nodes;

namespace Slipway.Cli.Output;

/// <summary>Rows shown as a table, as <c>--format json</c>, through a template, or as ids only.</summary>
/// <param name="columns">Heading and field of each column of the default table.</param>
internal sealed class Listing(params (string Heading, string Field)[] columns)
{
    private const string TablePrefix = "table ";
    private readonly List<JsonObject> _rows = [];

    public void Add(JsonObject row) => _rows.Add(row);

    /// <summary>As <c>ls</c> writes it.</summary>
    /// <param name="idsOnly">Asked for by <c>--quiet</c>; a format goes before.</param>
    /// <param name="id">The field that <c>--quiet</c> shows.</param>
    public void WriteTo(TextWriter writer, string? format, bool idsOnly, string id)
    {
        if (idsOnly && format is null)
        {
            WriteIds(writer, id);
        }
        else
        {
            WriteTo(writer, format);
        }
    }

    public void WriteTo(TextWriter writer, string? format)
    {
        switch (format)
        {
            case null or "" or "table":
                Table table = new([.. columns.Select(c => c.Heading)]);
                foreach (JsonObject row in _rows)
                {
                    table.Add([.. columns.Select(c => row[c.Field]?.ToString() ?? "")]);
                }

                table.WriteTo(writer);
                break;
            case "json":
                foreach (JsonObject row in _rows)
                {
                    writer.WriteLine(row.ToJsonString(JsonOutput.Compact));
                }

                break;
            case var text when text.StartsWith(TablePrefix, StringComparison.Ordinal):
                WriteTable(writer, text[TablePrefix.Length..]);
                break;
            default:
                GoTemplate template = GoTemplate.Parse(format);
                foreach (JsonObject row in _rows)
                {
                    writer.WriteLine(template.Execute(row));
                }

                break;
        }
    }

    public void WriteIds(TextWriter writer, string field)
    {
        foreach (JsonObject row in _rows)
        {
            writer.WriteLine(row[field]?.ToString());
        }
    }

    private void WriteTable(TextWriter writer, string format)
    {
        GoTemplate template = GoTemplate.Parse(format);
        JsonObject headings = [];
        foreach (JsonObject row in _rows.Take(1))
        {
            foreach ((string field, _) in row)
            {
                headings[field] = columns.FirstOrDefault(c => c.Field == field).Heading ?? field.ToUpperInvariant();
            }
        }

        Table table = new(template.Execute(headings).Split('\t'));
        foreach (JsonObject row in _rows)
        {
            table.Add(template.Execute(row).Split('\t'));
        }

        table.WriteTo(writer);
    }
}
