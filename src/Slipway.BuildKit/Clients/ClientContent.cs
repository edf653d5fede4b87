using Google.Protobuf;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Oci;

namespace Slipway.BuildKit.Clients;

/// <summary>Serves the blobs of directories of the client (containerd's content service, as far as builds use it).</summary>
/// <param name="stores">By the ids under which the build asks for them.</param>
internal sealed class ClientContent(IReadOnlyDictionary<string, LayoutDirectory> stores)
{
    private const string StoreHeader = "buildkit-attachable-store-id";
    private const int Chunk = 256 << 10;

    public ContentInfoResponse Info(ContentRequest request, GrpcCall call)
    {
        Digest digest = DigestOf(request.Digest);
        long size = StoreOf(call).SizeOf(digest) ?? throw Missing(digest);
        return new ContentInfoResponse { Info = new ContentInfo { Digest = request.Digest, Size = size } };
    }

    public async Task ReadAsync(ReadContentRequest request, GrpcCall call)
    {
        Digest digest = DigestOf(request.Digest);
        LayoutDirectory store = StoreOf(call);
        long size = store.SizeOf(digest) ?? throw Missing(digest);
        if (request.Offset < 0 || request.Offset > size || request.Size < 0)
        {
            throw new GrpcException(GrpcStatusCode.OutOfRange, $"content {digest} has {size} bytes");
        }

        await using FileStream file = store.Open(digest);
        file.Position = request.Offset;
        byte[] buffer = new byte[Chunk];
        for (long left = request.Size == 0 ? long.MaxValue : request.Size; left > 0;)
        {
            int count = await file.ReadAsync(buffer.AsMemory(0, (int)Math.Min(Chunk, left)), call.Cancelled);
            if (count == 0)
            {
                break;
            }

            await call.WriteAsync(new ReadContentResponse { Offset = file.Position - count, Data = ByteString.CopyFrom(buffer, 0, count) });
            left -= count;
        }
    }

    /// <summary>One blob, from its beginning. What was begun by another call is not gone on with.</summary>
    public async Task WriteAsync(GrpcCall call)
    {
        LayoutDirectory store = StoreOf(call);
        LayoutBlob? blob = null;
        try
        {
            while (await call.ReadAsync(WriteContentRequest.Parser) is { } request)
            {
                blob ??= store.Create(DigestOf(request.Expected));
                if (request.Offset != blob.Length && request.Action != WriteContentRequest.Types.Action.Status)
                {
                    throw new GrpcException(GrpcStatusCode.OutOfRange, $"unexpected offset {request.Offset}, {blob.Length} bytes were written");
                }

                await blob.WriteAsync(request.Data.Memory, call.Cancelled);
                if (request.Action == WriteContentRequest.Types.Action.Commit)
                {
                    blob.Commit();
                }

                await call.WriteAsync(new WriteContentResponse { Action = (int)request.Action, Offset = blob.Length, Total = request.Total, Digest = request.Expected });
                if (request.Action == WriteContentRequest.Types.Action.Commit)
                {
                    return;
                }
            }
        }
        catch (InvalidDataException error)
        {
            throw new GrpcException(GrpcStatusCode.FailedPrecondition, error.Message, inner: error);
        }
        finally
        {
            blob?.Dispose();
        }
    }

    private LayoutDirectory StoreOf(GrpcCall call) => stores.GetValueOrDefault(call.Metadata(StoreHeader))
        ?? throw new GrpcException(GrpcStatusCode.NotFound, $"no content store \"{call.Metadata(StoreHeader)}\"");

    private static Digest DigestOf(string text) => Digest.TryParse(text, out Digest digest) ? digest : throw new GrpcException(GrpcStatusCode.InvalidArgument, $"invalid digest \"{text}\"");

    private static GrpcException Missing(Digest digest) => new(GrpcStatusCode.NotFound, $"content {digest}: not found");
}
