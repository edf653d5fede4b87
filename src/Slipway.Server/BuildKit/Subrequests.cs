using System.Globalization;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Slipway.Build.Checks;
using Slipway.Build.Syntax;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.Server.BuildKit;

/// <summary>What clients ask the frontend instead of a build (<c>--call</c>, <c>--check</c>, <c>--print</c>): answers are documents in the metadata of an empty result.</summary>
internal static class Subrequests
{
    private const string Lint = "frontend.lint";
    private const string Describe = "frontend.subrequests.describe";
    private const string Version = "1.0.0";

    /// <exception cref="GrpcException">Unimplemented: another question.</exception>
    public static async Task<FrontendResult> AnswerAsync(string name, BuildJob job, FrontendRequest request, CancellationToken cancellationToken)
    {
        switch (name)
        {
            case Lint:
                CheckReport report = await job.CheckAsync(request, cancellationToken);
                bool isClean = report is { Error: null, Warnings: [] };
                return Result(Document(report), report.Display(), isClean ? 0 : 1);
            case Describe:
                return Result(Json(WriteKnown), $"{Lint}\n{Describe}\n", 0);
            default:
                throw new GrpcException(GrpcStatusCode.Unimplemented, $"unsupported subrequest {name}: the engine answers {Lint}");
        }
    }

    internal static byte[] Document(CheckReport report) => Json(writer => Write(writer, report));

    private static FrontendResult Result(byte[] json, string text, int status) => new()
    {
        Metadata =
        {
            ["result.json"] = ByteString.CopyFrom(json),
            ["result.txt"] = ByteString.CopyFromUtf8(text),
            ["result.statuscode"] = ByteString.CopyFromUtf8(status.ToString(CultureInfo.InvariantCulture)),
            ["version"] = ByteString.CopyFromUtf8(Version),
        },
    };

    private static byte[] Json(Action<Utf8JsonWriter> write)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter writer = new(stream))
        {
            write(writer);
        }

        return stream.ToArray();
    }

    private static void Write(Utf8JsonWriter writer, CheckReport report)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("warnings");
        foreach (CheckWarning warning in report.Warnings)
        {
            writer.WriteStartObject();
            writer.WriteString("ruleName", warning.Rule.Name);
            writer.WriteString("description", warning.Rule.Description);
            writer.WriteString("url", warning.Rule.Url);
            writer.WriteString("detail", warning.Detail);
            WriteLocation(writer, warning.Lines);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("sources");
        writer.WriteStartObject();
        writer.WriteString("filename", report.File);
        writer.WriteString("language", "Dockerfile");
        writer.WriteBase64String("data", Encoding.UTF8.GetBytes(report.Text));
        writer.WriteEndObject();
        writer.WriteEndArray();
        if (report.Error is { } error)
        {
            writer.WriteStartObject("buildError");
            writer.WriteString("message", error.Message);
            if (error.Position is { } position)
            {
                WriteLocation(writer, new SourceLines(position.Line, position.Line));
            }

            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static void WriteLocation(Utf8JsonWriter writer, SourceLines lines)
    {
        writer.WriteStartObject("location");
        writer.WriteStartArray("ranges");
        writer.WriteStartObject();
        WritePoint("start", lines.First);
        WritePoint("end", lines.Last);
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteEndObject();

        void WritePoint(string name, int line)
        {
            writer.WriteStartObject(name);
            writer.WriteNumber("line", line);
            writer.WriteEndObject();
        }
    }

    private static void WriteKnown(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        foreach ((string name, string description) in ((string, string)[])[(Lint, "Checks a Dockerfile"), (Describe, "Lists what can be asked")])
        {
            writer.WriteStartObject();
            writer.WriteString("name", name);
            writer.WriteString("version", Version);
            writer.WriteString("type", "rpc");
            writer.WriteString("description", description);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
