using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Slipway.BuildKit.Protocol;
using Slipway.Engine.Builds;

namespace Slipway.Server.BuildKit;

/// <summary>What a build tells, as messages of BuildKit's.</summary>
internal static class StatusMessages
{
    /// <returns>Null: clients are shown what takes time.</returns>
    public static Vertex? Of(BuildVertex vertex)
    {
        if (vertex.Step is { IsConfiguration: true })
        {
            return null;
        }

        Vertex message = new() { Digest = vertex.Digest.ToString(), Name = vertex.Name, Cached = vertex.Cached, Error = vertex.Error };
        message.Inputs.AddRange(vertex.Inputs.Select(input => input.ToString()));
        message.Started = vertex.Started is { } started ? Of(started) : null;
        message.Completed = vertex.Completed is { } completed ? Of(completed) : null;
        return message;
    }

    public static StatusResponse Of(BuildLog log) => new()
    {
        Logs = { new VertexLog { Vertex = log.Vertex.ToString(), Stream = log.Stream, Timestamp = Of(log.Time), Message = ByteString.CopyFrom(log.Data.Span) } },
    };

    public static StatusResponse Of(BuildStatus status) => new()
    {
        Statuses =
        {
            new VertexStatus
            {
                Id = status.Id,
                Vertex = status.Vertex.ToString(),
                Name = status.Action,
                Current = status.Current,
                Total = status.Total,
                Timestamp = Of(status.Time),
                Started = status.Started is { } started ? Of(started) : null,
                Completed = status.Completed is { } completed ? Of(completed) : null,
            },
        },
    };

    public static StatusResponse Of(BuildWarning warning) => new()
    {
        Warnings =
        {
            new VertexWarning
            {
                Vertex = warning.Vertex.ToString(), Level = 1, Short = ByteString.CopyFromUtf8(warning.Text), Url = warning.Url, File = new SourceFile { Name = warning.File },
                Detail = { warning.Detail.Length > 0 ? [ByteString.CopyFromUtf8(warning.Detail)] : [] },
                Ranges = { new SourceRange { Start = new SourcePoint { Line = warning.Line }, End = new SourcePoint { Line = warning.Line } } },
            },
        },
    };

    public static Timestamp Of(DateTimeOffset time) => Timestamp.FromDateTimeOffset(time);
}
