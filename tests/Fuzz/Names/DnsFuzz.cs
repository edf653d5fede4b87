using System.Buffers.Binary;
using System.Net;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Fuzz.Names;

/// <summary>Messages from containers and from other servers: whatever they are, reading them ends, and what is answered is an answer.</summary>
public sealed class DnsFuzz
{
    private const int SecondsInCi = 2;

    [Fact]
    public void Any_query_is_read_or_refused_and_its_answer_repeats_it()
    {
        int read = 0;
        int refused = 0;
        foreach (int seed in FuzzRun.Rounds(SecondsInCi))
        {
            Random random = new(seed);
            byte[] query = Message(random, isResponse: false);
            try
            {
                if (DnsQuestion.TryRead(query, out DnsQuestion? question, out DnsCode? code))
                {
                    read++;
                    CheckAnswer(DnsAnswer.Addresses(question, [.. Enumerable.Range(0, random.Next(200)).Select(i => new IPAddress([10, 0, 0, (byte)i]))], 512), question);
                    CheckAnswer(DnsAnswer.Failure(question, DnsCode.ServerFailure), question);
                    _ = question.ReverseAddress();
                    Assert.True(question.Name.Length < 256);
                    Assert.DoesNotContain((byte)0xC0, LabelLengths(question));
                }
                else if (code is { } failure)
                {
                    refused++;
                    byte[] answer = DnsAnswer.Failure(query, failure);
                    Assert.Equal(query[..2], answer[..2]);
                    Assert.Equal((0x80, (int)failure), (answer[2] & 0x80, answer[3] & 0xF));
                }
            }
            catch (Exception exception) when (exception is not Xunit.Sdk.IAssertionException)
            {
                Assert.Fail($"SLIPWAY_FUZZ_SEED={seed}: {Convert.ToHexString(query)}: {exception}");
            }
        }

        Assert.True(read > 100 && refused > 100, $"the generator makes too little of one kind: {read} read, {refused} refused");
    }

    [Fact]
    public void Any_answer_of_another_server_is_kept_whole_or_not_at_all()
    {
        int kept = 0;
        foreach (int seed in FuzzRun.Rounds(SecondsInCi))
        {
            Random random = new(seed);
            byte[] answer = Message(random, isResponse: true);
            try
            {
                if (DnsLifetime.TryRead(answer, out uint seconds, out IReadOnlyList<int> times))
                {
                    kept++;
                    Assert.True(seconds > 0);
                    Assert.All(times, offset => Assert.InRange(offset, DnsQuestion.HeaderLength, answer.Length - 4));
                    Assert.All(times, offset => Assert.True(BinaryPrimitives.ReadUInt32BigEndian(answer.AsSpan(offset)) >= seconds));
                }

                byte[] query = [.. answer];
                if (query.Length > 2)
                {
                    query[2] &= 0x7F;
                }

                if (DnsQuestion.TryRead(query, out DnsQuestion? question, out _))
                {
                    DnsCache cache = new(TimeProvider.System);
                    cache.Add(query, question, stream: false, answer);
                    Assert.True(cache.Find(query, question, stream: false) is not { } found || found.Length == answer.Length);
                }
            }
            catch (Exception exception) when (exception is not Xunit.Sdk.IAssertionException)
            {
                Assert.Fail($"SLIPWAY_FUZZ_SEED={seed}: {Convert.ToHexString(answer)}: {exception}");
            }
        }

        Assert.True(kept > 100, $"the generator makes too few answers that are kept: {kept}");
    }

    [Fact]
    public void Pointers_that_lead_to_themselves_or_to_each_other_end()
    {
        byte[] header = [0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
        byte[][] names = [[0xC0, 12], [0xC0, 14, 0xC0, 12], [1, (byte)'a', 0xC0, 12], [0xC0, 0xFF], [0xFF, 0xFF], [0xC0], [0x40, 0], [.. Enumerable.Repeat<byte>(1, 300)]];
        foreach (byte[] name in names)
        {
            byte[] answer = [.. header, .. name, 0, 1, 0, 1, .. name, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1, .. name, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1];
            _ = DnsLifetime.TryRead(answer, out _, out _);
            byte[] query = [.. answer];
            query[2] = 1;
            Assert.False(DnsQuestion.TryRead(query, out _, out DnsCode? code));
            Assert.Equal(DnsCode.FormatError, code);
        }
    }

    /// <summary>The bytes that are lengths of labels, of the name in a question section.</summary>
    private static IEnumerable<byte> LabelLengths(DnsQuestion question)
    {
        for (int i = 0; question.Section.Span[i] != 0; i += question.Section.Span[i] + 1)
        {
            yield return question.Section.Span[i];
        }
    }

    private static void CheckAnswer(byte[] answer, DnsQuestion question)
    {
        Assert.Equal(question.Id, BinaryPrimitives.ReadUInt16BigEndian(answer));
        Assert.Equal(0x80, answer[2] & 0x80);
        Assert.Equal(question.Section.ToArray(), answer[DnsQuestion.HeaderLength..(DnsQuestion.HeaderLength + question.Section.Length)]);
        Assert.True(answer.Length <= 512 || (answer.Length <= DnsQuestion.HeaderLength + question.Section.Length + 11 && answer[7] == 0));
    }

    /// <summary>A message that is right in most places: a header, names with labels and pointers, records; then some bytes are changed, and the end is cut off.</summary>
    private static byte[] Message(Random random, bool isResponse)
    {
        List<byte> bytes = [(byte)random.Next(256), (byte)random.Next(256), (byte)(isResponse ? 0x81 : 1), (byte)(isResponse ? 0x80 : 0), 0, 1, 0, 0, 0, 0, 0, 0];
        AddName(random, bytes, random.Next(4) == 0);
        bytes.AddRange([0, (byte)(random.Next(4) switch { 0 => 28, 1 => 12, _ => 1 }), 0, 1]);
        for (int section = 0; section < 3; section++)
        {
            int records = isResponse ? random.Next(3) : section == 2 ? random.Next(2) : 0;
            bytes[7 + (section * 2)] = (byte)records;
            for (; records > 0; records--)
            {
                AddName(random, bytes, pointers: true);
                byte[] data = new byte[random.Next(30)];
                random.NextBytes(data);
                byte type = random.Next(4) switch { 0 => 6, 1 => 41, _ => 1 };
                bytes.AddRange([0, type, 0, 1, 0, 0, (byte)random.Next(3), (byte)random.Next(256), 0, (byte)data.Length, .. data]);
            }
        }

        byte[] message = [.. bytes];
        for (int changes = random.Next(4) == 0 ? random.Next(4) : 0; changes > 0; changes--)
        {
            message[random.Next(message.Length)] = (byte)random.Next(256);
        }

        return random.Next(8) == 0 ? message[..random.Next(message.Length)] : message;
    }

    private static void AddName(Random random, List<byte> bytes, bool pointers)
    {
        for (int labels = random.Next(6); labels > 0; labels--)
        {
            byte[] label = new byte[random.Next(10) == 0 ? random.Next(1, 64) : random.Next(1, 10)];
            random.NextBytes(label);
            bytes.AddRange([(byte)label.Length, .. label]);
        }

        bytes.AddRange(pointers && random.Next(2) == 0 ? [(byte)(0xC0 | random.Next(64)), (byte)random.Next(256)] : (byte[])[0]);
    }
}
