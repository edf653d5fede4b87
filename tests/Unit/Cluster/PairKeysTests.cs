using System.Net;
using Slipway.Engine.Cluster;
using Slipway.Engine.Cluster.Keys;
using Slipway.Kernel.Netlink;
using Xunit;

namespace Slipway.Tests.Unit.Cluster;

/// <summary>Keys of one direction: what the sender asks, and the receiver makes and forgets.</summary>
public sealed class PairKeysTests
{
    private static readonly TimeSpan s_lifetime = TimeSpan.FromMinutes(10);

    private readonly ManualClock _clock = new();
    private readonly FakeEspPairs _sender;
    private readonly FakeEspPairs _receiver;
    private PairKeys _sending;
    private PairKeys _receiving;

    public PairKeysTests()
    {
        (_sender, _receiver) = (new FakeEspPairs(_clock), new FakeEspPairs(_clock));
        (_sending, _receiving) = (Keys(_sender), Keys(_receiver));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private uint Used => Assert.Single(_sender.Sending).Spi;

    private IEnumerable<uint> Received => _receiver.Receiving.Select(state => state.Spi);

    [Fact]
    public async Task The_receiver_is_ready_before_the_sender_uses_its_key()
    {
        KeyRequest request = (await _sending.AskAsync("192.0.2.1", Cancellation))!;
        Assert.Equal(("192.0.2.1", 0u, true), (request.From, request.Sending, request.Wants));
        KeyAnswer answer = await _receiving.AnswerAsync(request, Cancellation);
        Assert.Equal([answer.Spi], Received);
        Assert.Empty(_sender.Sending);
        Assert.Equal(KeyOutcome.Agreed, await _sending.TakeAsync(request, answer, Cancellation));
        Assert.Equal(answer.Spi, Used);
        Assert.Equal(_receiver.Secrets[Used], _sender.Secrets[Used]);
    }

    [Fact]
    public async Task A_key_is_changed_when_it_is_old_and_the_one_before_stays_for_what_is_on_the_way()
    {
        await ExchangeAsync();
        uint first = Used;
        await PassAsync(s_lifetime - TimeSpan.FromSeconds(2));
        Assert.Equal(first, Used);
        await PassAsync(TimeSpan.FromSeconds(2));
        uint second = Used;
        Assert.NotEqual(first, second);
        await PassAsync(PairKeys.Grace - TimeSpan.FromSeconds(1));
        Assert.Equal([first, second], Received);
        await PassAsync(TimeSpan.FromSeconds(2));
        Assert.Equal([second], Received);
    }

    [Fact]
    public async Task The_next_life_of_an_engine_takes_states_over_and_asks_for_its_own_key()
    {
        await ExchangeAsync();
        uint before = Used;
        (_sending, _receiving) = (Keys(_sender), Keys(_receiver));
        KeyRequest request = (await _sending.AskAsync("192.0.2.1", Cancellation))!;
        Assert.Equal((before, true), (request.Sending, request.Wants));
        await ExchangeAsync();
        Assert.NotEqual(before, Used);
        await PassAsync(PairKeys.Grace * 2);
        Assert.Equal([Used], Received);
    }

    [Fact]
    public async Task What_the_receiver_has_lost_is_asked_for_at_once()
    {
        await ExchangeAsync();
        uint lost = Used;
        _receiver.Receiving.Clear();
        Assert.Equal(KeyOutcome.Missing, await ExchangeAsync());
        Assert.Equal(KeyOutcome.Agreed, await ExchangeAsync());
        Assert.NotEqual(lost, Used);
        Assert.Equal([Used], Received);
    }

    [Fact]
    public async Task What_the_sender_has_lost_is_replaced_by_another_key()
    {
        await ExchangeAsync();
        uint lost = Used;
        _sender.Sending.Clear();
        Assert.Equal(KeyOutcome.Agreed, await ExchangeAsync());
        Assert.NotEqual(lost, Used);
    }

    [Fact]
    public async Task Keys_that_were_made_and_not_used_do_not_accumulate_and_the_used_one_stays()
    {
        await ExchangeAsync();
        for (int i = 0; i < 20; i++)
        {
            await _receiving.AnswerAsync(new KeyRequest { From = "192.0.2.1", Sending = Used, Wants = true }, Cancellation); // the answer is lost
            Assert.Contains(Used, Received);
            Assert.InRange(_receiver.Receiving.Count, 1, PairKeys.MaxReceiving);
        }

        await PassAsync(PairKeys.Grace * 2);
        Assert.Equal([Used], Received);
        for (int i = 0; i < 20; i++)
        {
            await _receiving.AnswerAsync(new KeyRequest { From = "192.0.2.1", Wants = true }, Cancellation); // one that never says what it uses
            Assert.InRange(_receiver.Receiving.Count, 1, PairKeys.MaxReceiving);
        }
    }

    [Fact]
    public async Task What_was_just_made_stays_while_another_is_used()
    {
        await ExchangeAsync();
        await PassAsync(PairKeys.Grace * 2);
        KeyAnswer made = await _receiving.AnswerAsync(new KeyRequest { From = "192.0.2.1", Sending = Used, Wants = true }, Cancellation);
        await _receiving.AnswerAsync(new KeyRequest { From = "192.0.2.1", Sending = Used }, Cancellation);
        Assert.Contains(made.Spi, Received);
    }

    [Fact]
    public async Task A_number_that_is_taken_makes_another_be_asked_for()
    {
        _sender.IsNextTaken = true;
        Assert.Equal(KeyOutcome.Missing, await ExchangeAsync());
        Assert.Empty(_sender.Sending);
        Assert.Equal(KeyOutcome.Agreed, await ExchangeAsync());
        Assert.Contains(Used, Received);
    }

    [Fact]
    public async Task Where_there_is_nothing_to_encrypt_nothing_is_asked_or_given()
    {
        _receiver.HasNetworks = false;
        Assert.Equal(KeyOutcome.Refused, await ExchangeAsync());
        Assert.Empty(_receiver.Receiving);
        _sender.HasNetworks = false;
        Assert.Null(await _sending.AskAsync("192.0.2.1", Cancellation));
    }

    [Fact]
    public async Task What_was_not_asked_for_is_not_used()
    {
        await ExchangeAsync();
        uint used = Used;
        KeyRequest request = (await _sending.AskAsync("192.0.2.1", Cancellation))!;
        Assert.False(request.Wants);
        await _sending.TakeAsync(request, new KeyAnswer { Receiving = [used], Spi = 0x53999999, Secret = new byte[EspState.KeyLength] }, Cancellation);
        Assert.Equal(used, Used);
    }

    [Fact]
    public async Task A_clock_that_is_set_back_makes_a_key_old()
    {
        await ExchangeAsync();
        uint used = Used;
        _sender.Sending[0] = _sender.Sending[0] with { Added = _clock.GetUtcNow() + TimeSpan.FromDays(1) };
        await ExchangeAsync();
        Assert.NotEqual(used, Used);
    }

    [Theory]
    [InlineData(255u, EspState.KeyLength, 0)]
    [InlineData(0x53000001u, EspState.KeyLength - 1, 0)]
    [InlineData(0x53000001u, EspState.KeyLength + 1, 0)]
    [InlineData(0x53000001u, null, 0)]
    [InlineData(0u, null, 65)]
    public async Task An_answer_that_cannot_be_meant_is_refused(uint spi, int? length, int receiving)
    {
        KeyRequest request = (await _sending.AskAsync("192.0.2.1", Cancellation))!;
        KeyAnswer answer = new() { Receiving = [.. Enumerable.Range(1, receiving).Select(number => (uint)number)], Spi = spi, Secret = length is { } bytes ? new byte[bytes] : null };
        await Assert.ThrowsAsync<ClusterProtocolException>(() => _sending.TakeAsync(request, answer, Cancellation));
        Assert.Empty(_sender.Sending);
    }

    private PairKeys Keys(FakeEspPairs pairs) => new(IPAddress.Loopback, pairs, s_lifetime, _clock);

    private async Task<KeyOutcome> ExchangeAsync()
    {
        KeyRequest request = (await _sending.AskAsync("192.0.2.1", Cancellation))!;
        return await _sending.TakeAsync(request, await _receiving.AnswerAsync(request, Cancellation), Cancellation);
    }

    /// <summary>Time goes by, in which the hosts speak every second.</summary>
    private async Task PassAsync(TimeSpan time)
    {
        for (int second = 0; second < time.TotalSeconds; second++)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await ExchangeAsync();
        }
    }
}
