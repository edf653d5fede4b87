using System.Buffers.Binary;
using System.Text;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Unit.Networking;

/// <summary>What is kept of other servers' answers, and for how long.</summary>
public sealed class DnsCacheTests
{
    private readonly Clock _clock = new();
    private readonly DnsCache _cache;

    public DnsCacheTests() => _cache = new DnsCache(_clock);

    private static byte[] Name(string name) => [.. name.Split('.').SelectMany(label => (byte[])[(byte)label.Length, .. Encoding.ASCII.GetBytes(label)]), 0];

    private static byte[] Query(string name, ushort id = 7, byte[]? options = null) =>
        [(byte)(id >> 8), (byte)id, 1, 0, 0, 1, 0, 0, 0, 0, 0, (byte)(options is null ? 0 : 1), .. Name(name), 0, 1, 0, 1, .. options ?? []];

    /// <summary>A record whose name is a pointer to the question's.</summary>
    private static byte[] Record(ushort type, uint time, params byte[] data) =>
        [0xC0, 12, (byte)(type >> 8), (byte)type, 0, 1, (byte)(time >> 24), (byte)(time >> 16), (byte)(time >> 8), (byte)time, (byte)(data.Length >> 8), (byte)data.Length, .. data];

    private static byte[] Answer(string name, int code, byte[][] answers, byte[][]? authority = null, byte flags = 0x81) =>
    [
        0, 7, flags, (byte)(0x80 | code), 0, 1, 0, (byte)answers.Length, 0, (byte)(authority?.Length ?? 0), 0, 0, .. Name(name), 0, 1, 0, 1,
        .. answers.SelectMany(record => record), .. (authority ?? []).SelectMany(record => record),
    ];

    private static byte[] Soa(uint time, uint minimum) =>
        Record(6, time, [0xC0, 12, 0xC0, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, (byte)(minimum >> 24), (byte)(minimum >> 16), (byte)(minimum >> 8), (byte)minimum]);

    private static DnsQuestion Read(byte[] query)
    {
        Assert.True(DnsQuestion.TryRead(query, out DnsQuestion? question, out _));
        return question;
    }

    private void Add(byte[] query, byte[] answer) => _cache.Add(query, Read(query), stream: false, answer);

    private byte[]? Find(byte[] query, bool stream = false) => _cache.Find(query, Read(query), stream);

    [Fact]
    public void An_answer_is_given_again_with_what_is_left_of_its_time()
    {
        byte[] answer = Answer("a.example", 0, [Record(1, 100, 10, 0, 0, 1), Record(1, 60, 10, 0, 0, 2)]);
        Add(Query("a.example"), answer);
        _clock.Advance(TimeSpan.FromSeconds(20));
        byte[] again = Find(Query("A.Example", id: 0x1234))!;

        // The number and the spelling of the one who asks now.
        Assert.Equal([0x12, 0x34], again[..2]);
        Assert.Equal(Name("A.Example"), again[12..23]);
        Assert.Equal((80u, 40u), (BinaryPrimitives.ReadUInt32BigEndian(again.AsSpan(33)), BinaryPrimitives.ReadUInt32BigEndian(again.AsSpan(49))));
        Assert.Equal(answer[37..43], again[37..43]);
        _clock.Advance(TimeSpan.FromSeconds(40));
        Assert.Null(Find(Query("a.example")));
    }

    [Fact]
    public void Other_options_flags_and_transports_are_other_questions()
    {
        Add(Query("a.example"), Answer("a.example", 0, [Record(1, 100, 10, 0, 0, 1)]));
        Assert.NotNull(Find(Query("a.example")));
        Assert.Null(Find(Query("b.example")));
        Assert.Null(Find(Query("a.example", options: [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0])));
        Assert.Null(Find(Query("a.example"), stream: true));
        byte[] unchecked_ = Query("a.example");
        unchecked_[3] |= 0x10;
        Assert.Null(Find(unchecked_));
    }

    [Fact]
    public void That_there_is_nothing_is_kept_for_the_time_of_the_SOA()
    {
        Add(Query("a.example"), Answer("a.example", 3, [], [Soa(100, 10)]));
        Add(Query("b.example"), Answer("b.example", 0, [], [Soa(5, 100)]));
        Add(Query("c.example"), Answer("c.example", 0, [], [Soa(1000, 1000)]));
        Assert.Equal(3, Find(Query("a.example"))![3] & 0xF);
        _clock.Advance(TimeSpan.FromSeconds(6));
        Assert.NotNull(Find(Query("a.example")));
        Assert.Null(Find(Query("b.example")));
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Null(Find(Query("a.example")));
        Assert.NotNull(Find(Query("c.example")));
        _clock.Advance(TimeSpan.FromSeconds(20));
        Assert.Null(Find(Query("c.example")));
    }

    [Fact]
    public void Failures_and_what_is_cut_off_or_without_a_time_are_not_kept()
    {
        byte[] record = Record(1, 100, 10, 0, 0, 1);
        byte[][] answers =
        [
            Answer("a.example", 2, [record]),
            Answer("a.example", 5, [record]),
            Answer("a.example", 0, [record], flags: 0x83),
            Answer("a.example", 0, [record, Record(1, 0, 10, 0, 0, 2)]),
            Answer("a.example", 0, []),
            Answer("a.example", 3, []),
            Answer("a.example", 3, [record]),
            Answer("a.example", 0, [record])[..^1],
            Answer("a.example", 0, [[0xC0]]),
            Answer("a.example", 0, [record])[..20],
        ];
        foreach (byte[] answer in answers)
        {
            Add(Query("a.example"), answer);
            Assert.Null(Find(Query("a.example")));
        }
    }

    [Fact]
    public void Nothing_is_kept_longer_than_five_minutes_and_the_oldest_goes_when_it_is_full()
    {
        for (int i = 0; i <= DnsCache.Capacity; i++)
        {
            Add(Query($"n{i}.example"), Answer($"n{i}.example", 0, [Record(1, 86400, 10, 0, 0, 1)]));
        }

        Assert.Null(Find(Query("n0.example")));
        Assert.NotNull(Find(Query("n1.example")));
        _clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Null(Find(Query("n1.example")));

        // What is asked again takes the place of what it was.
        Add(Query("n1.example"), Answer("n1.example", 0, [Record(1, 60, 10, 0, 0, 9)]));
        Assert.Equal(9, Find(Query("n1.example"))![^1]);
    }

    [Fact]
    public void A_server_that_was_silent_is_asked_last_for_a_while()
    {
        UpstreamServer[] servers = [new(new([10, 0, 0, 1]), FromContainer: false), new(new([10, 0, 0, 2]), FromContainer: false)];
        DnsUpstreams upstreams = new(servers, _clock);
        upstreams.WasSilent(servers[0]);
        Assert.Equal(servers.Reverse(), upstreams.InOrder());
        _clock.Advance(DnsUpstreams.Distrust);
        Assert.Equal(servers, upstreams.InOrder());
        upstreams.WasSilent(servers[0]);
        upstreams.Answered(servers[0]);
        Assert.Equal(servers, upstreams.InOrder());
    }

    private sealed class Clock : TimeProvider
    {
        private TimeSpan _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now.Ticks;

        public void Advance(TimeSpan time) => _now += time;
    }
}
