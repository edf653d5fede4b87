using Google.Protobuf;
using Slipway.Grpc;
using Slipway.Kernel.Files;

namespace Slipway.BuildKit.Files;

/// <summary>Paths that a client sends: relative to the directory, components joined by slashes.</summary>
internal static class FilePath
{
    private const int MaxNameLength = 255;

    /// <exception cref="GrpcException">InvalidArgument: it could lead elsewhere, or is none.</exception>
    public static void Check(ByteString path)
    {
        ReadOnlySpan<byte> rest = path.Span;
        bool isValid = rest.Length is > 0 and < PathName.MaximumLength && !rest.Contains((byte)0);
        while (isValid && !rest.IsEmpty)
        {
            int slash = rest.IndexOf((byte)'/');
            ReadOnlySpan<byte> name = slash < 0 ? rest : rest[..slash];
            isValid = name.Length is > 0 and <= MaxNameLength && new PathName(name).IsEntryName && slash != rest.Length - 1;
            rest = slash < 0 ? [] : rest[(slash + 1)..];
        }

        if (!isValid)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"invalid path \"{Text(path)}\"");
        }
    }

    /// <summary>The directory that holds it; empty: the root.</summary>
    public static ByteString Parent(ByteString path)
    {
        int slash = path.Span.LastIndexOf((byte)'/');
        return slash < 0 ? ByteString.Empty : ByteString.CopyFrom(path.Span[..slash]);
    }

    public static ReadOnlySpan<byte> Name(ByteString path) => path.Span[(path.Span.LastIndexOf((byte)'/') + 1)..];

    public static string Text(ByteString path) => new PathName(path.Span[..Math.Min(path.Length, 200)]).ToString();
}
