using System.Text.Json;

namespace Slipway.Runtime.Foreign;

/// <summary>What a runtime writes to its log (<c>--log-format json</c>): an object on each line, with <c>level</c> and <c>msg</c>.</summary>
public static class RuntimeLog
{
    /// <summary>The message of the last error; null where there is none. What is no such object is passed over.</summary>
    public static string? LastError(string log)
    {
        string? error = null;
        foreach (string line in log.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            try
            {
                using JsonDocument entry = JsonDocument.Parse(line);
                if (entry.RootElement.ValueKind == JsonValueKind.Object && Text(entry.RootElement, "level") is "error" or "fatal" && Text(entry.RootElement, "msg") is { Length: > 0 } message)
                {
                    error = message;
                }
            }
            catch (JsonException)
            {
                // A line that was cut, or one of a program that the runtime has called.
            }
        }

        return error;
    }

    private static string? Text(JsonElement entry, string name) => entry.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
