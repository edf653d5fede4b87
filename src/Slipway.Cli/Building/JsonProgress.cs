using System.Text;
using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Slipway.BuildKit.Protocol;

namespace Slipway.Cli.Building;

/// <summary>Each message as a line of JSON, with the names that BuildKit's SolveStatus has (<c>--progress rawjson</c>).</summary>
internal sealed class JsonProgress(TextWriter output) : BuildProgress
{
    public override async Task ShowAsync(StatusResponse status)
    {
        using MemoryStream line = new();
        Utf8JsonWriter json = new(line);
        await using (json.ConfigureAwait(false))
        {
            json.WriteStartObject();
            List(json, "vertexes", status.Vertexes, vertex =>
            {
                json.WriteString("digest", vertex.Digest);
                json.WriteString("name", vertex.Name);
                json.WriteStartArray("inputs");
                foreach (string input in vertex.Inputs)
                {
                    json.WriteStringValue(input);
                }

                json.WriteEndArray();
                json.WriteBoolean("cached", vertex.Cached);
                Time(json, "started", vertex.Started);
                Time(json, "completed", vertex.Completed);
                if (vertex.Error.Length > 0)
                {
                    json.WriteString("error", vertex.Error);
                }
            });
            List(json, "statuses", status.Statuses, part =>
            {
                json.WriteString("id", part.Id);
                json.WriteString("vertex", part.Vertex);
                json.WriteString("name", part.Name);
                json.WriteNumber("current", part.Current);
                json.WriteNumber("total", part.Total);
                Time(json, "timestamp", part.Timestamp);
                Time(json, "started", part.Started);
                Time(json, "completed", part.Completed);
            });
            List(json, "logs", status.Logs, log =>
            {
                json.WriteString("vertex", log.Vertex);
                json.WriteNumber("stream", log.Stream);
                json.WriteBase64String("data", log.Message.Span);
                Time(json, "timestamp", log.Timestamp);
            });
            List(json, "warnings", status.Warnings, warning =>
            {
                json.WriteString("vertex", warning.Vertex);
                json.WriteNumber("level", warning.Level);
                json.WriteBase64String("short", warning.Short.Span);
                json.WriteString("url", warning.Url);
            });
            json.WriteEndObject();
        }

        await output.WriteLineAsync(Encoding.UTF8.GetString(line.ToArray())).ConfigureAwait(false);
        await output.FlushAsync().ConfigureAwait(false);
    }

    private static void List<T>(Utf8JsonWriter json, string name, Google.Protobuf.Collections.RepeatedField<T> items, Action<T> write)
    {
        if (items.Count == 0)
        {
            return;
        }

        json.WriteStartArray(name);
        foreach (T item in items)
        {
            json.WriteStartObject();
            write(item);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Time(Utf8JsonWriter json, string name, Timestamp? time)
    {
        if (time is not null)
        {
            json.WriteString(name, time.ToDateTime());
        }
    }
}
