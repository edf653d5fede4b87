using System.Net;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Fuzz.Netlink;

/// <summary>The readers take any bytes: they end, stay inside, and throw nothing. The seed is printed by a failure.</summary>
public sealed class NetlinkReaderFuzz
{
    private const int Rounds = 100_000;

    [Fact]
    public void Any_datagram_is_walked_to_its_end()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        byte[] buffer = new byte[512];
        long messages = 0;
        for (int round = 0; round < Rounds; round++)
        {
            Span<byte> datagram = buffer.AsSpan(0, random.Next(buffer.Length + 1));
            random.NextBytes(datagram);
            Shape(random, datagram);
            try
            {
                messages += Walk(datagram);
            }
#pragma warning disable CA1031 // Whatever it is, the seed is wanted.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }

        Assert.True(messages > Rounds / 100, "the generator makes too few messages that are read");
    }

    [Fact]
    public void Every_cut_and_every_flipped_byte_of_a_real_message_is_survived()
    {
        NetlinkWriter writer = new();
        NetlinkWriter.Message message = writer.Begin(2, NetlinkFlags.Ack, "seed");
        writer.Fixed(-17);
        writer.Fixed(new Guid());
        using (writer.Begin(18))
        {
            writer.Text(1, "veth");
            using (writer.Begin(2))
            {
                writer.UInt32(3, 4);
                writer.Attribute(5, IPAddress.Loopback.GetAddressBytes());
            }
        }

        writer.Text(3, "eth0");
        message.Dispose();
        byte[] original = writer.Written.ToArray();
        Assert.True(Walk(original) == 1);
        for (int length = 0; length < original.Length; length++)
        {
            Walk(original.AsSpan(0, length));
            for (int value = 0; value < 256; value++)
            {
                byte[] flipped = [.. original];
                flipped[length] = (byte)value;
                Walk(flipped);
            }
        }
    }

    [Fact]
    public void Any_resolv_conf_gives_one_with_a_server_and_only_its_own_lines()
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        string[] words = ["nameserver", "search", "options", "domain", "127.0.0.1", "1.1.1.1", "::1", "a.example", "#", ";", "\t", " ", "\n", "\r\n", "\0", "sortlist", "\u00e9", "%eth0"];
        for (int round = 0; round < 20_000; round++)
        {
            string file = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => words[random.Next(words.Length)] + (random.Next(2) == 0 ? " " : "")));
            string made = ContainerFiles.ResolvConf(file, new DnsOptions());
            Assert.True(made.StartsWith("nameserver ", StringComparison.Ordinal) && made.EndsWith('\n'), $"seed {seed}: {file}");
            Assert.DoesNotContain(made.Split('\n'), line => line.StartsWith("nameserver 127.", StringComparison.Ordinal));

            // What was made is read as it was made.
            Assert.Equal(made, ContainerFiles.ResolvConf(made, new DnsOptions()));
        }
    }

    /// <summary>Makes the lengths plausible in most rounds, so that the walk gets further than the first header.</summary>
    private static void Shape(Random random, Span<byte> datagram)
    {
        for (int offset = 0; offset + 20 <= datagram.Length && random.Next(8) != 0;)
        {
            int length = random.Next(16, Math.Min(200, datagram.Length - offset) + 1);
            BitConverter.TryWriteBytes(datagram[offset..], length);
            for (int inner = offset + 16; inner + 4 <= offset + length && random.Next(6) != 0;)
            {
                int attribute = random.Next(4, Math.Min(60, offset + length - inner) + 1);
                BitConverter.TryWriteBytes(datagram[inner..], (ushort)attribute);
                inner += (attribute + 3) & ~3;
            }

            offset += (length + 3) & ~3;
        }
    }

    private static int Walk(ReadOnlySpan<byte> datagram)
    {
        int messages = 0;
        NetlinkReader reader = new(datagram);
        while (reader.TryRead(out NetlinkMessage message))
        {
            messages++;
            Assert.True(messages <= (datagram.Length / 16) + 1);
            (int errno, _) = message.Result();
            Assert.True(errno >= 0);
            if (message.TryFixed(out uint _, out AttributeReader attributes))
            {
                WalkAttributes(attributes, 0);
            }
        }

        return messages;
    }

    private static void WalkAttributes(AttributeReader reader, int depth)
    {
        _ = reader.Text(1);
        _ = reader.UInt32(2);
        _ = reader.BigEndian32(2);
        _ = reader.BigEndian64(3);
        while (reader.TryRead(out _, out ReadOnlySpan<byte> value))
        {
            if (depth < 8)
            {
                WalkAttributes(new AttributeReader(value), depth + 1);
            }
        }
    }
}
