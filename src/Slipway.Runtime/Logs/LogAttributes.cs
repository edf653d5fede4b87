using System.Text;

namespace Slipway.Runtime.Logs;

/// <summary>What is recorded with every record of a log, the same for all: labels and variables of the container, its tag.</summary>
public static class LogAttributes
{
    /// <summary>Bytes of all of them as they are written: they are repeated with every line, and go to the supervisor in one message.</summary>
    public const int MaxLength = 8 * 1024;

    /// <summary>As dockerd writes them into a record: <c>"attrs":{"name":"value"},</c>.</summary>
    /// <returns>Empty for none.</returns>
    public static string Encode(IEnumerable<KeyValuePair<string, string>> attributes)
    {
        ArgumentNullException.ThrowIfNull(attributes);
        ByteBuffer output = new();
        foreach ((string name, string value) in attributes)
        {
            output.Append(output.Length == 0 ? "\"attrs\":{\""u8 : ",\""u8);
            JsonLogFormat.WriteEscaped(output, Encoding.UTF8.GetBytes(name));
            output.Append("\":\""u8);
            JsonLogFormat.WriteEscaped(output, Encoding.UTF8.GetBytes(value));
            output.Append((byte)'"');
        }

        if (output.Length > 0)
        {
            output.Append("},"u8);
        }

        return Encoding.UTF8.GetString(output.Written);
    }
}
