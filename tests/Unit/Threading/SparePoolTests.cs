using Slipway.Kernel;
using Slipway.Kernel.Threading;
using Slipway.Tests.Harness;
using Xunit;

namespace Slipway.Tests.Unit.Threading;

public sealed class SparePoolTests : IDisposable
{
    private const int Usual = SparePool<object>.Usual;

    private readonly ManualClock _clock = new();
    private readonly SparePool<object> _pool;
    private readonly List<object> _made = [];
    private readonly List<object> _dropped = [];
    private Func<object?> _make = () => new object();

    public SparePoolTests() => _pool = new SparePool<object>(
        () =>
        {
            object? made = _make();
            if (made is not null)
            {
                _made.Add(made);
            }

            return made;
        },
        _dropped.Add,
        TimeSpan.FromMinutes(1),
        _clock);

    public void Dispose() => _pool.Dispose();

    [Fact]
    public void Nothing_is_made_before_the_first_is_asked_for_nor_while_they_are()
    {
        _clock.Pass(TimeSpan.FromMinutes(5));
        Assert.Null(_pool.TryTake());
        _clock.Pass(TimeSpan.FromMilliseconds(200));
        Assert.Null(_pool.TryTake());
        _clock.Pass(TimeSpan.FromMilliseconds(200));
        Assert.Empty(_made);
        _clock.Pass(TimeSpan.FromMilliseconds(200));
        Assert.Equal(Usual + 2, _made.Count);
    }

    [Fact]
    public void Each_is_handed_out_once()
    {
        Assert.Null(_pool.TryTake());
        _clock.Pass(TimeSpan.FromSeconds(1));
        object?[] taken = [.. Enumerable.Range(0, Usual + 1).Select(_ => _pool.TryTake())];
        Assert.Equal(_made, taken);
        Assert.Null(_pool.TryTake());
    }

    [Fact]
    public void Bursts_make_it_grow_and_a_quiet_minute_shrinks_it()
    {
        for (int i = 0; i < 100; i++)
        {
            Assert.Null(_pool.TryTake());
        }

        _clock.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(SparePool<object>.Limit, _made.Count);
        _clock.Pass(TimeSpan.FromMinutes(1));
        Assert.Equal(SparePool<object>.Limit - Usual, _dropped.Count);
        Assert.Equal(_made.Count, _made.Distinct().Count());
        Assert.DoesNotContain(_pool.TryTake(), _dropped);
    }

    [Fact]
    public void Filling_stops_when_somebody_takes_meanwhile()
    {
        Assert.Null(_pool.TryTake());
        _make = () =>
        {
            _pool.TryTake();
            return new object();
        };
        _clock.Pass(TimeSpan.FromMilliseconds(300));
        Assert.Single(_made);
    }

    [Fact]
    public void A_failure_is_nobodys_and_the_next_pause_tries_again()
    {
        Assert.Null(_pool.TryTake());
        _make = () => throw new KernelException("mkdirat", Errno.ENOSPC);
        _clock.Pass(TimeSpan.FromSeconds(1));
        Assert.Null(_pool.TryTake());
        _make = () => new object();
        _clock.Pass(TimeSpan.FromSeconds(1));
        Assert.NotNull(_pool.TryTake());
    }

    [Fact]
    public void Where_none_can_be_had_none_is_asked_for_twice()
    {
        int asked = 0;
        _make = () =>
        {
            asked++;
            return null;
        };
        Assert.Null(_pool.TryTake());
        _clock.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(1, asked);
    }

    [Fact]
    public void What_is_ready_at_the_end_is_dropped_and_what_comes_later_too()
    {
        Assert.Null(_pool.TryTake());
        _clock.Pass(TimeSpan.FromSeconds(1));
        Assert.NotNull(_pool.TryTake());
        _make = () =>
        {
            _pool.Dispose();
            return new object();
        };
        _clock.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(_made.Skip(1).ToHashSet(), _dropped.ToHashSet());
        Assert.Null(_pool.TryTake());
    }
}
