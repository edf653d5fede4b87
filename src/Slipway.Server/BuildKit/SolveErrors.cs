using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Grpc;

namespace Slipway.Server.BuildKit;

/// <summary>Failed builds as BuildKit's clients are told of them: with the place in the Dockerfile, which they show themselves.</summary>
internal static class SolveErrors
{
    private const string SourceType = "github.com/moby/buildkit/errdefs.Source+json";
    private const string VertexType = "github.com/moby/buildkit/errdefs.Vertex+json";

    /// <summary>Bytes: an error has to fit into a trailer.</summary>
    private const int MaxSource = 8 * 1024;

    /// <param name="dockerfile">Name and text, where they are known.</param>
    public static GrpcException Translate(BuildException error, (string Name, string Text)? dockerfile)
    {
        List<Any> details = [];
        if (error.Lines is { } lines && dockerfile is { } file && Excerpt(file.Text, lines.Last) is { } text)
        {
            details.Add(Detail(SourceType, new SourceDetail(
                new SourceInfoDetail(file.Name, text, "Dockerfile"), [new RangeDetail(new PositionDetail(lines.First), new PositionDetail(lines.Last))])));
        }

        if (error.Vertex != default)
        {
            details.Add(new Any { TypeUrl = VertexType, Value = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(new VertexDetail(error.Vertex.ToString()), SolveJson.Default.VertexDetail)) });
        }

        return new GrpcException(GrpcStatusCode.Unknown, error.Message, details, error);
    }

    /// <summary>Of a build. BuildKit gives its errors no codes, and clients show those that are there.</summary>
    public static GrpcException OfBuild(EngineException error) => new(GrpcStatusCode.Unknown, error.Message, inner: error);

    public static GrpcException Translate(EngineException error) => new(
        error.Kind switch
        {
            ErrorKind.InvalidParameter => GrpcStatusCode.InvalidArgument,
            ErrorKind.Unauthorized => GrpcStatusCode.Unauthenticated,
            ErrorKind.Forbidden => GrpcStatusCode.PermissionDenied,
            ErrorKind.NotFound => GrpcStatusCode.NotFound,
            ErrorKind.Conflict => GrpcStatusCode.FailedPrecondition,
            ErrorKind.NotImplemented => GrpcStatusCode.Unimplemented,
            ErrorKind.Unavailable or ErrorKind.Remote => GrpcStatusCode.Unavailable,
            _ => GrpcStatusCode.Unknown,
        },
        error.Message,
        inner: error);

    private static Any Detail(string type, SourceDetail detail) =>
        new() { TypeUrl = type, Value = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(detail, SolveJson.Default.SourceDetail)) };

    /// <summary>The file up to a little after the place: clients count lines from its beginning.</summary>
    private static byte[]? Excerpt(string text, int lastLine)
    {
        byte[] all = Encoding.UTF8.GetBytes(text);
        if (all.Length <= MaxSource)
        {
            return all;
        }

        byte[] part = Encoding.UTF8.GetBytes(string.Join('\n', text.Split('\n').Take(lastLine + 4)));
        return part.Length <= MaxSource ? part : null;
    }
}

internal sealed record SourceDetail(SourceInfoDetail Info, IReadOnlyList<RangeDetail> Ranges);

internal sealed record SourceInfoDetail(string Filename, byte[] Data, string Language);

internal sealed record RangeDetail(PositionDetail Start, PositionDetail End);

internal sealed record PositionDetail(int Line);

internal sealed record VertexDetail(string Digest);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SourceDetail))]
[JsonSerializable(typeof(VertexDetail))]
internal sealed partial class SolveJson : JsonSerializerContext;
