using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Images;
using Slipway.Server.Http;
using Slipway.Server.Streams;
using Xunit;

namespace Slipway.Tests.Fuzz.Server;

/// <summary>What comes from clients is read or refused, never more. The seed is printed by a failure.</summary>
public sealed class RequestFuzz
{
    private const int Rounds = 30_000;

    private const string Body =
        """{"Image":"alpine","Cmd":["sh","-c","x"],"Env":null,"HostConfig":{"Memory":64,"Privileged":false,"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}},"Labels":{"a":"b"}}""";

    [Fact]
    public void Any_body_is_parsed_or_refused_as_invalid()
    {
        int parsed = 0;
        ForEachRound(random =>
        {
            byte[] bytes = Mutate(random, Encoding.UTF8.GetBytes(Body));
            try
            {
                JsonBody.Parse<ContainerCreateRequest>(bytes);
                parsed++;
            }
            catch (EngineException e)
            {
                Assert.Equal(ErrorKind.InvalidParameter, e.Kind);
                Assert.DoesNotContain("System.", e.Message, StringComparison.Ordinal);
            }
        });

        Assert.InRange(parsed, Rounds / 100, Rounds * 99 / 100);
    }

    [Fact]
    public void Any_query_is_read_or_refused_as_invalid() => ForEachRound(random =>
    {
        string text = Encoding.Latin1.GetString(Mutate(random, random.Next(2) == 0 ? "{\"status\":{\"running\":true}}"u8.ToArray() : "1700000000.123456789"u8.ToArray()));
        QueryParameters query = new(QueryString.Create("v", text));
        foreach (Action read in (Action[])[() => query.Filters("v"), () => query.Time("v"), () => query.Number("v"), () => query.Size("v"), () => query.Flag("v")])
        {
            try
            {
                read();
            }
            catch (EngineException e)
            {
                Assert.Equal(ErrorKind.InvalidParameter, e.Kind);
            }
        }
    });

    [Fact]
    public void Detach_keys_are_found_where_a_search_of_the_whole_finds_them() => ForEachRound(random =>
    {
        string keys = Word(random, 1, 5);
        string typed = Word(random, 0, 40);
        DetachKeys filter = DetachKeys.Parse(string.Join(',', keys.AsEnumerable()));
        StringBuilder passed = new();
        for (int start = 0; start < typed.Length;)
        {
            int length = random.Next(1, typed.Length - start + 1);
            byte[] output = new byte[length + filter.MaxHeldBack];
            int count = filter.Filter(Encoding.ASCII.GetBytes(typed.Substring(start, length)), output);
            passed.Append(Encoding.ASCII.GetString(output, 0, count));
            start += length;
        }

        int at = typed.IndexOf(keys, StringComparison.Ordinal);
        Assert.Equal(at >= 0, filter.Found);
        if (at >= 0)
        {
            Assert.Equal(typed[..at], passed.ToString());
        }
        else
        {
            int held = Enumerable.Range(0, keys.Length).Last(length => typed.EndsWith(keys[..length], StringComparison.Ordinal));
            Assert.Equal(typed[..^held], passed.ToString());
        }
    });

    [Fact]
    public void Patterns_match_what_trying_everything_matches() => ForEachRound(random =>
    {
        string pattern = Word(random, 0, 8, "ab/*?");
        string text = Word(random, 0, 10, "ab/");

        Assert.Equal(Try(pattern, text), GlobPattern.IsMatch(pattern, text));

        static bool Try(string pattern, string text) => pattern.Length == 0 ? text.Length == 0
            : pattern[0] == '*' ? Try(pattern[1..], text) || (text.Length > 0 && text[0] != '/' && Try(pattern, text[1..]))
            : text.Length > 0 && (pattern[0] == '?' ? text[0] != '/' : pattern[0] == text[0]) && Try(pattern[1..], text[1..]);
    });

    private static void ForEachRound(Action<Random> test)
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        for (int round = 0; round < Rounds; round++)
        {
            try
            {
                test(random);
            }
#pragma warning disable CA1031 // Whatever it is, the seed is wanted.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Assert.Fail($"seed {seed}, round {round}: {e}");
            }
        }
    }

    private static string Word(Random random, int least, int most, string alphabet = "abc") =>
        new(random.GetItems<char>(alphabet, random.Next(least, most + 1)));

    /// <summary>Cuts, doubles, or changes a byte or a few.</summary>
    private static byte[] Mutate(Random random, byte[] original)
    {
        byte[] bytes = random.Next(8) switch
        {
            0 => original[..random.Next(original.Length)],
            1 => [.. original, .. original[..random.Next(original.Length)]],
            2 => [.. original[..random.Next(original.Length)], .. original[random.Next(original.Length)..]],
            _ => [.. original],
        };
        for (int i = random.Next(4); i > 0 && bytes.Length > 0; i--)
        {
            bytes[random.Next(bytes.Length)] = random.Next(2) == 0 ? (byte)random.Next(256) : "{}[]\",:0-et\\ n"u8[random.Next(14)];
        }

        return bytes;
    }
}
