using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Grpc.Http2;
using Xunit;

namespace Slipway.Tests.Unit.Grpc;

public sealed class Http2Tests
{
    /// <summary>RFC 7541, C.4.1 and C.6.1, without what needs a table.</summary>
    [Theory]
    [InlineData("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com")]
    [InlineData("a8eb10649cbf", "no-cache")]
    [InlineData("25a849e95ba97d7f", "custom-key")]
    [InlineData("25a849e95bb8e8b4bf", "custom-value")]
    [InlineData("6402", "302")]
    [InlineData("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com")]
    public void Huffman_codes_of_the_standard_are_read(string encoded, string text)
    {
        ArrayBufferWriter<byte> decoded = new();
        HuffmanCode.Decode(Convert.FromHexString(encoded), decoded);

        Assert.Equal(text, Encoding.ASCII.GetString(decoded.WrittenSpan));
    }

    [Theory]
    [InlineData("ffffffff", "the end of a string")]
    [InlineData("64", "padded by zeros")]
    [InlineData("f1e3c2e5f23a6ba0ab90f4ffff", "padded by a byte")]
    public void Huffman_codes_that_do_not_end_as_they_must_are_refused(string encoded, string why)
    {
        Assert.NotEmpty(why);
        Assert.Equal(Http2Error.Compression, Assert.Throws<Http2Exception>(() => HuffmanCode.Decode(Convert.FromHexString(encoded), new ArrayBufferWriter<byte>())).Error);
    }

    [Fact]
    public void A_list_of_headers_keeps_names_that_stand_there_twice()
    {
        HeaderField[] fields = [new(":path", "/x"), new("followpaths", "a"), new("followpaths", "b, c"), new("long", new string('x', 5000)), new("empty", "")];

        Assert.Equal(fields, HeaderBlock.Decode(HeaderBlock.Encode(fields)));
    }

    /// <summary>RFC 7541, C.2.1, C.2.2 and C.2.4: literals with and without an index, and an index.</summary>
    [Theory]
    [InlineData("400a637573746f6d2d6b65790d637573746f6d2d686561646572", "custom-key", "custom-header")]
    [InlineData("040c2f73616d706c652f70617468", ":path", "/sample/path")]
    [InlineData("82", ":method", "GET")]
    [InlineData("2088", ":status", "200")]
    public void Header_fields_of_the_standard_are_read(string block, string name, string value) =>
        Assert.Equal([new HeaderField(name, value)], HeaderBlock.Decode(Convert.FromHexString(block)));

    [Theory]
    [InlineData("c0")]
    [InlineData("80")]
    [InlineData("3fe11f")]
    [InlineData("400a63757374")]
    [InlineData("00ffffffffffff7f")]
    [InlineData("40")]
    public void Blocks_that_count_on_a_table_or_are_cut_are_refused(string block) => Assert.Throws<Http2Exception>(() => HeaderBlock.Decode(Convert.FromHexString(block)));

    [Fact]
    public async Task A_message_is_read_whole_however_it_is_cut()
    {
        Pipe pipe = new();
        ArrayBufferWriter<byte> frame = new();
        MessageFrames.Write(frame, new StatusRequest { Ref = "some-build" });
        ValueTask<StatusRequest?> reading = MessageFrames.ReadAsync(pipe.Reader, StatusRequest.Parser, 1000, TestContext.Current.CancellationToken);
        foreach (byte octet in frame.WrittenSpan.ToArray())
        {
            await pipe.Writer.WriteAsync(new[] { octet }, TestContext.Current.CancellationToken);
        }

        Assert.Equal("some-build", (await reading)!.Ref);
        await pipe.Writer.CompleteAsync();
        Assert.Null(await MessageFrames.ReadAsync(pipe.Reader, StatusRequest.Parser, 1000, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_message_is_as_long_as_it_was_on_the_stream()
    {
        // Longer than the parts a pipe keeps: what is told to the sender must not be what the pipe has made of them since.
        Pipe pipe = new(new PipeOptions(pauseWriterThreshold: 0));
        ArrayBufferWriter<byte> frames = new();
        for (int i = 0; i < 20; i++)
        {
            MessageFrames.Write(frames, new StatusRequest { Ref = new string('x', 5000 * i) });
        }

        for (int offset = 0; offset < frames.WrittenCount; offset += 3000)
        {
            await pipe.Writer.WriteAsync(frames.WrittenMemory[offset..Math.Min(offset + 3000, frames.WrittenCount)], TestContext.Current.CancellationToken);
        }

        await pipe.Writer.CompleteAsync();
        long sum = 0;
        while (await MessageFrames.ReadMeasuredAsync(pipe.Reader, StatusRequest.Parser, 200_000, TestContext.Current.CancellationToken) is { Message: not null } read)
        {
            sum += read.Length;
        }

        Assert.Equal(frames.WrittenCount, sum);
    }

    [Theory]
    [InlineData("00000003e9", GrpcStatusCode.ResourceExhausted)]
    [InlineData("00ffffffff", GrpcStatusCode.ResourceExhausted)]
    [InlineData("0100000000", GrpcStatusCode.Unimplemented)]
    [InlineData("000000", GrpcStatusCode.Internal)]
    [InlineData("00000000020aff", GrpcStatusCode.Internal)]
    public async Task A_message_that_is_too_long_compressed_cut_or_malformed_is_refused(string bytes, GrpcStatusCode code)
    {
        PipeReader reader = PipeReader.Create(new MemoryStream(Convert.FromHexString(bytes)));

        GrpcException error = await Assert.ThrowsAsync<GrpcException>(async () => await MessageFrames.ReadAsync(reader, StatusRequest.Parser, 1000, TestContext.Current.CancellationToken));

        Assert.Equal(code, error.Code);
    }

    [Theory]
    [InlineData("20S", 20_000_000)]
    [InlineData("14999969u", 14_999_969)]
    [InlineData("3m", 3000)]
    [InlineData("S", null)]
    [InlineData("-1S", null)]
    [InlineData("123456789S", null)]
    [InlineData("99999999H", null)]
    public void Timeouts_are_read(string text, int? microseconds) =>
        Assert.Equal(microseconds is { } count ? TimeSpan.FromMicroseconds(count) : null, GrpcHeaders.ParseTimeout(text));

    [Fact]
    public void An_error_arrives_as_it_was_sent()
    {
        GrpcException sent = new(GrpcStatusCode.NotFound, "größer als 100%\n", [GrpcException.Detail("x.Y", new StatusRequest { Ref = "r" })]);
        Dictionary<string, string> trailers = new(GrpcHeaders.Trailers(sent));

        GrpcException received = GrpcHeaders.Error(trailers["grpc-status"], trailers["grpc-message"], trailers["grpc-status-details-bin"])!;

        Assert.Equal("gr%C3%B6%C3%9Fer als 100%25%0A", trailers["grpc-message"]);
        Assert.Equal((sent.Code, sent.Message, "type.googleapis.com/x.Y"), (received.Code, received.Message, received.Details[0].TypeUrl));
        Assert.Null(GrpcHeaders.Error("0", null, null));
        Assert.Equal(GrpcStatusCode.Internal, GrpcHeaders.Error(null, null, null)!.Code);
        Assert.Equal(GrpcStatusCode.Unknown, GrpcHeaders.Error("99", "m", "%%%")!.Code);
    }
}
