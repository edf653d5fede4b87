using System.Text.Encodings.Web;
using System.Text.Json;

namespace Slipway.Cli.Output;

/// <summary>JSON for people and scripts: no escapes beyond what JSON demands.</summary>
internal static class JsonOutput
{
    public static JsonSerializerOptions Compact { get; } = new(Options(indented: false));

    public static JsonSerializerOptions Indented { get; } = new(Options(indented: true));

    private static JsonSerializerOptions Options(bool indented) => new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = indented,
        IndentSize = 4,
    };
}
