using System.Buffers;
using System.IO.Pipelines;
using Slipway.Api.Streams;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Grpc.Http2;
using Xunit;

namespace Slipway.Tests.Unit.Grpc;

public sealed class GrpcStreamTests
{
    private static CancellationToken None => TestContext.Current.CancellationToken;

    /// <summary>RFC 9113, 8.1: a server that has answered may ask, by RST_STREAM of NO_ERROR, that the rest of the request be not sent.</summary>
    [Fact]
    public async Task An_answer_that_comes_before_the_end_of_the_request_is_an_answer()
    {
        (Pipe toServer, Pipe toClient) = (new Pipe(), new Pipe());
        await using GrpcChannel channel = new(new PipeStream(toClient.Reader, toServer.Writer));
        await using GrpcStream<StatusRequest> call = await channel.OpenAsync("/test/Call", StatusRequest.Parser, [], None);
        await call.WriteAsync(new StatusRequest { Ref = "asked" });

        ArrayBufferWriter<byte> message = new();
        MessageFrames.Write(message, new StatusRequest { Ref = "answered" });
        Frame(FrameKind.Settings, FrameFlags.None, 0, []);
        Frame(FrameKind.Headers, FrameFlags.EndHeaders, 1, HeaderBlock.Encode([new(":status", "200"), new("content-type", "application/grpc")]));
        Frame(FrameKind.Data, FrameFlags.None, 1, message.WrittenSpan);
        Frame(FrameKind.Headers, FrameFlags.EndHeaders | FrameFlags.End, 1, HeaderBlock.Encode([new("grpc-status", "0")]));
        Frame(FrameKind.ResetStream, FrameFlags.None, 1, [0, 0, 0, 0]);

        // Answered by the client in the order in which frames came, so it has seen the reset when it has seen this.
        Frame(FrameKind.Ping, FrameFlags.None, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
        await toClient.Writer.FlushAsync(None);
        await UntilAsync(toServer.Reader, FrameKind.Ping);

        await call.CompleteAsync();
        Assert.Equal("answered", (await call.ReadAsync())!.Ref);
        Assert.Null(await call.ReadAsync());
        await toClient.Writer.CompleteAsync();

        void Frame(FrameKind kind, FrameFlags flags, int stream, ReadOnlySpan<byte> content)
        {
            Span<byte> header = toClient.Writer.GetSpan(FrameHeader.Size);
            new FrameHeader(content.Length, kind, flags, stream).Write(header);
            toClient.Writer.Advance(FrameHeader.Size);
            toClient.Writer.Write(content);
        }
    }

    /// <summary>Reads what the client sends, after the preface of a connection, up to a frame of a kind.</summary>
    private static async Task UntilAsync(PipeReader client, FrameKind kind)
    {
        const int Preface = 24;
        client.AdvanceTo((await client.ReadAtLeastAsync(Preface, None)).Buffer.GetPosition(Preface));
        while (true)
        {
            ReadOnlySequence<byte> bytes = (await client.ReadAtLeastAsync(FrameHeader.Size, None)).Buffer;
            FrameHeader header = FrameHeader.Read(bytes);
            client.AdvanceTo(bytes.Start);
            bytes = (await client.ReadAtLeastAsync(FrameHeader.Size + header.Length, None)).Buffer;
            client.AdvanceTo(bytes.GetPosition(FrameHeader.Size + header.Length));
            if (header.Kind == kind)
            {
                return;
            }
        }
    }

    private sealed class PipeStream(PipeReader input, PipeWriter output) : AsyncStream
    {
        private readonly Stream _input = input.AsStream();
        private readonly Stream _output = output.AsStream();

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => _input.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => _output.WriteAsync(buffer, cancellationToken);
    }
}
