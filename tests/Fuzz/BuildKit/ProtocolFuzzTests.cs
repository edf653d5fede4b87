using System.IO.Pipelines;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Grpc.Http2;
using Xunit;

namespace Slipway.Tests.Fuzz.BuildKit;

/// <summary>What the other end of a session may send: it is read, or refused as what it is.</summary>
public sealed class ProtocolFuzzTests
{
    private const int Seconds = 2;

    [Fact]
    public async Task Frames_of_messages_are_read_or_refused()
    {
        foreach (int seed in FuzzRun.Rounds(Seconds))
        {
            Random random = new(seed);
            PipeReader reader = PipeReader.Create(new MemoryStream(Bytes(random, [0, 0, 0, 0, 12, 0x12, 10, 0x0a, 3, .. "a/b"u8, 0x10, 1, 0x18, 2, 0x20, 3])));
            try
            {
                while (await MessageFrames.ReadAsync(reader, FilePacket.Parser, 4096, TestContext.Current.CancellationToken) is not null)
                {
                }
            }
            catch (GrpcException refused)
            {
                Assert.True(refused.Code is GrpcStatusCode.Internal or GrpcStatusCode.ResourceExhausted or GrpcStatusCode.Unimplemented, $"seed {seed}: {refused}");
            }
        }
    }

    [Fact]
    public void Lists_of_headers_are_read_or_refused()
    {
        byte[] valid = [0x88, 0x5f, 0x10, .. "application/grpc"u8, 0x00, 0x0b, .. "grpc-status"u8, 0x01, (byte)'0', 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f, 0x01, (byte)'v'];
        foreach (int seed in FuzzRun.Rounds(Seconds))
        {
            try
            {
                HeaderBlock.Decode(Bytes(new Random(seed), valid));
            }
            catch (Http2Exception refused)
            {
                Assert.Equal(Http2Error.Compression, refused.Error);
            }
        }
    }

    /// <summary>A peer that says anything ends its connection, and the call that waits for it.</summary>
    [Fact]
    public async Task A_connection_survives_no_nonsense_but_the_process_does()
    {
        foreach (int seed in FuzzRun.Rounds(Seconds))
        {
            byte[] said = Bytes(new Random(seed), [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 1, 4, 0, 0, 0, 1, 0x88, 0x00, 0x01, 0x61, 0x00, 0, 0, 2, 0, 1, 0, 0, 0, 1, 0, 0]);
            await using GrpcChannel channel = new(new Scripted(said));
            await Assert.ThrowsAsync<GrpcException>(() => channel.CallAsync("/x/Y", new Nothing(), Nothing.Parser, TestContext.Current.CancellationToken));
        }
    }

    private static byte[] Bytes(Random random, byte[] valid)
    {
        List<byte> bytes = [.. valid];
        for (int change = random.Next(1, 5); change > 0; change--)
        {
            int at = random.Next(bytes.Count + 1);
            switch (random.Next(4))
            {
                case 0:
                    bytes.Insert(at, (byte)random.Next(256));
                    break;
                case 1 when at < bytes.Count:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2 when at < bytes.Count:
                    bytes.RemoveRange(at, random.Next(bytes.Count - at + 1));
                    break;
                default:
                    byte[] more = new byte[random.Next(64)];
                    random.NextBytes(more);
                    bytes.InsertRange(at, more);
                    break;
            }
        }

        return [.. bytes];
    }

    /// <summary>Says its part, whatever it hears, and closes.</summary>
    private sealed class Scripted(byte[] said) : MemoryStream(said, writable: false)
    {
        public override bool CanWrite => true;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.CompletedTask;
    }
}
