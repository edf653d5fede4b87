using Slipway.Kernel;
using Slipway.Networking;
using Slipway.Tests.Harness;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>How many sandboxes are made, and when; the sandboxes are real, the clock is not.</summary>
public sealed class SandboxPoolTests : IAsyncLifetime
{
    private const int Size = 2;

    private static readonly TimeSpan s_retention = TimeSpan.FromMinutes(1);

    private readonly ManualClock _clock = new();
    private SandboxFactory _factory = null!;
    private SandboxPool _pool = null!;
    private int _made;

    /// <summary>How many can be made.</summary>
    private int _room = int.MaxValue;

    /// <summary>What making one waits for.</summary>
    private Task _gate = Task.CompletedTask;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _factory = await SandboxFactory.CreateAsync(null, Cancellation);
        _pool = new SandboxPool(
            async token =>
            {
                bool fits = Interlocked.Increment(ref _made) <= _room;
                await _gate;
                return fits ? await _factory.MakeIsolatedAsync(token) : throw new KernelException("add a link", Errno.ENOSPC);
            },
            Size,
            s_retention,
            _clock);
        _pool.Refill();
        await _pool.DrainAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _pool.DisposeAsync();
        await _factory.DisposeAsync();
    }

    [Fact]
    public async Task What_is_taken_is_made_again_only_after_a_pause()
    {
        (await _pool.TakeAsync(Cancellation)).Dispose();
        Assert.Equal(Size, _made);
        await PauseAsync();
        Assert.Equal(Size + 1, _made);
    }

    [Fact]
    public async Task A_burst_makes_it_grow_for_the_next_and_it_shrinks_when_none_comes()
    {
        await BurstAsync(10);
        Assert.Equal(10, _made);
        await PauseAsync();
        Assert.Equal(20, _made);

        await BurstAsync(10);
        Assert.Equal(20, _made);
        await PauseAsync();
        Assert.Equal(30, _made);

        _clock.Pass(s_retention);
        await BurstAsync(Size);
        Assert.Equal(30, _made);
        (await _pool.TakeAsync(Cancellation)).Dispose();
        Assert.Equal(31, _made);
    }

    [Fact]
    public async Task After_a_burst_its_own_size_is_made_soon_and_the_rest_when_the_burst_is_surely_over()
    {
        await BurstAsync(10);
        _clock.Pass(SandboxPool.Pause);
        await EventuallyMadeAsync(10 + Size);
        _clock.Pass(SandboxPool.Quiet - SandboxPool.Pause);
        await EventuallyMadeAsync(20);
    }

    [Fact]
    public async Task What_is_being_made_for_a_burst_when_it_shrinks_is_not_kept()
    {
        await BurstAsync(Size + 3);
        _clock.Pass(SandboxPool.Pause);
        await EventuallyMadeAsync(Size + 3 + Size);
        TaskCompletionSource gate = new();
        _gate = gate.Task;
        _clock.Pass(SandboxPool.Quiet);
        await EventuallyMadeAsync(Size + 3 + Size + 1);
        _clock.Pass(s_retention);
        gate.SetResult();
        await _pool.DrainAsync(Cancellation);

        await BurstAsync(Size);
        Assert.Equal(Size + 3 + Size + 1, _made);
        (await _pool.TakeAsync(Cancellation)).Dispose();
        Assert.Equal(Size + 3 + Size + 2, _made);
    }

    [Fact]
    public async Task It_does_not_grow_beyond_its_limit()
    {
        await BurstAsync(SandboxPool.Limit + 10);
        await PauseAsync();
        Assert.Equal((2 * SandboxPool.Limit) + 10, _made);
    }

    [Fact]
    public async Task One_that_cannot_be_made_is_the_last_that_is_tried()
    {
        await BurstAsync(20);
        _room = 25;
        await PauseAsync();
        Assert.Equal(26, _made);
        await PauseAsync();
        Assert.Equal(26, _made);

        // What was made is there; who finds none is told why there is none.
        await BurstAsync(5);
        Assert.Equal(Errno.ENOSPC, (await Assert.ThrowsAsync<KernelException>(() => _pool.TakeAsync(Cancellation))).Errno);
        Assert.Equal(27, _made);

        // As soon as there is room again, a burst is prepared for as before.
        _room = int.MaxValue;
        await BurstAsync(20);
        await PauseAsync();
        Assert.Equal(27 + 20 + Size + 21, _made);
        await BurstAsync(20);
        Assert.Equal(27 + 20 + Size + 21, _made);
    }

    private async Task BurstAsync(int count)
    {
        foreach (var sandbox in await Task.WhenAll(Enumerable.Range(0, count).Select(_ => _pool.TakeAsync(Cancellation))))
        {
            sandbox.Dispose();
        }
    }

    /// <summary>So many are made, and then no more.</summary>
    private async Task EventuallyMadeAsync(int count)
    {
        for (var i = 0; i < 500 && Volatile.Read(ref _made) < count; i++)
        {
            await Task.Delay(10, Cancellation);
        }

        await Task.Delay(50, Cancellation);
        Assert.Equal(count, Volatile.Read(ref _made));
    }

    /// <summary>No sandbox is taken for a second; what that lets be made is waited for, without asking for more.</summary>
    private async Task PauseAsync()
    {
        _clock.Pass(TimeSpan.FromSeconds(1));
        await _pool.DrainAsync(Cancellation);
    }
}
