using System.Buffers.Binary;
using System.Text;

namespace Slipway.Networking;

/// <summary>
/// Answers that other servers gave one container. Of no other container: by the time an answer takes, one could see what another has asked, and a server
/// that a user named for one container answers for it alone.
/// </summary>
internal sealed class DnsCache(TimeProvider time)
{
    internal const int Capacity = 512;

    private const int MaxAnswer = 4096;

    /// <summary>However long an answer may be kept: a container is not to be the last to learn of a change.</summary>
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(5);

    /// <summary>The same for answers that there is nothing: it may be what the user is about to make.</summary>
    private static readonly TimeSpan s_longestNegative = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly Queue<string> _byAge = [];

    /// <summary>The answer to a query, with times to live as they are by now; null where it has to be asked.</summary>
    public byte[]? Find(ReadOnlySpan<byte> query, DnsQuestion question, bool stream)
    {
        Entry? entry;
        lock (_lock)
        {
            if (!_entries.TryGetValue(Key(query, question, stream), out entry))
            {
                return null;
            }
        }

        TimeSpan age = time.GetElapsedTime(entry.Stored);
        if (age >= entry.Lifetime)
        {
            return null;
        }

        // The client's own number and spelling: it compares both (RFC 5452 section 9).
        byte[] answer = [.. entry.Answer];
        query[..2].CopyTo(answer);
        question.Section.Span.CopyTo(answer.AsSpan(DnsQuestion.HeaderLength));
        foreach (int offset in entry.Times)
        {
            Span<byte> field = answer.AsSpan(offset);
            BinaryPrimitives.WriteUInt32BigEndian(field, BinaryPrimitives.ReadUInt32BigEndian(field) - (uint)age.TotalSeconds);
        }

        return answer;
    }

    /// <summary>Keeps an answer that may be kept; the oldest goes for it.</summary>
    public void Add(ReadOnlySpan<byte> query, DnsQuestion question, bool stream, byte[] answer)
    {
        if (answer.Length > MaxAnswer || answer.Length < DnsQuestion.HeaderLength + question.Section.Length || !DnsLifetime.TryRead(answer, out uint seconds, out IReadOnlyList<int> times))
        {
            return;
        }

        bool isNegative = (answer[3] & 0xF) != 0 || (answer[6] | answer[7]) == 0;
        TimeSpan lifetime = TimeSpan.FromSeconds(seconds);
        TimeSpan longest = isNegative ? s_longestNegative : s_longest;
        Entry entry = new([.. answer], times, time.GetTimestamp(), lifetime < longest ? lifetime : longest);
        string key = Key(query, question, stream);
        lock (_lock)
        {
            if (_entries.TryAdd(key, entry))
            {
                _byAge.Enqueue(key);
                if (_byAge.Count > Capacity)
                {
                    _entries.Remove(_byAge.Dequeue());
                }
            }
            else
            {
                _entries[key] = entry;
            }
        }
    }

    /// <summary>All of a query but its number and the spelling of its name: flags and options ask for other answers.</summary>
    private static string Key(ReadOnlySpan<byte> query, DnsQuestion question, bool stream)
    {
        int end = DnsQuestion.HeaderLength + question.Section.Length;
        return string.Concat(
            stream ? "t" : "u",
            Encoding.Latin1.GetString(query[2..DnsQuestion.HeaderLength]),
            Encoding.Latin1.GetString(query[DnsQuestion.HeaderLength..end]).ToLowerInvariant(),
            Encoding.Latin1.GetString(query[end..]));
    }

    private sealed record Entry(byte[] Answer, IReadOnlyList<int> Times, long Stored, TimeSpan Lifetime);
}
