using System.Globalization;
using System.Text;
using System.Text.Json;
using Slipway.Api;

namespace Slipway.Client;

/// <summary>A path's query string; parameters that are null or false are left out.</summary>
internal sealed class Query(string path)
{
    private readonly StringBuilder _text = new(path);
    private bool _any;

    public Query Add(string name, string? value)
    {
        if (value is not null)
        {
            _text.Append(_any ? '&' : '?').Append(name).Append('=').Append(Uri.EscapeDataString(value));
            _any = true;
        }

        return this;
    }

    public Query Add(string name, bool value) => value ? Add(name, "1") : this;

    public Query Add(string name, int? value) => Add(name, value?.ToString(CultureInfo.InvariantCulture));

    /// <summary>Docker's filters: a JSON object of lists.</summary>
    public Query Add(IReadOnlyDictionary<string, List<string>>? filters) =>
        filters is { Count: > 0 } ? Add("filters", JsonSerializer.Serialize(filters.ToDictionary(), EngineJson.Wire.DictionaryStringListString)) : this;

    public override string ToString() => _text.ToString();
}
