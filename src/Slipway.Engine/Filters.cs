namespace Slipway.Engine;

/// <summary>
/// The <c>filters</c> parameter of list calls: keys with sets of values, any value of a key matching, all keys required.
/// The server parses both JSON forms (<c>{"k":["v"]}</c> and <c>{"k":{"v":true}}</c>).
/// </summary>
public sealed class Filters(IReadOnlyDictionary<string, IReadOnlyList<string>> values)
{
    public static Filters None { get; } = new(new Dictionary<string, IReadOnlyList<string>>());

    public IReadOnlyDictionary<string, IReadOnlyList<string>> Values { get; } = values;

    public bool IsEmpty => Values.Count == 0;

    public bool Has(string key) => Values.ContainsKey(key);

    /// <summary>The values of a key; none where it was not given.</summary>
    public IReadOnlyList<string> this[string key] => Values.TryGetValue(key, out IReadOnlyList<string>? found) ? found : [];

    /// <summary>Refuses keys an endpoint does not know, in Docker's words.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public void Validate(params ReadOnlySpan<string> known)
    {
        foreach (string key in Values.Keys)
        {
            if (!known.Contains(key))
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"invalid filter '{key}'");
            }
        }
    }
}
