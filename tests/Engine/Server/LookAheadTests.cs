using System.Runtime.CompilerServices;
using Slipway.Server.Streams;
using Xunit;

namespace Slipway.Tests.Engine.Server;

public sealed class LookAheadTests
{
    private bool _ended;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Elements_come_in_order_until_the_end()
    {
        await using LookAhead<int> items = new(new[] { 1, 2 }.ToAsyncEnumerable(), Cancellation);
        Assert.True(await items.MoveNextAsync());
        Assert.Equal(1, items.Current);
        Assert.True(await items.MoveNextAsync());
        Assert.Equal(2, items.Current);
        Assert.False(await items.MoveNextAsync());
    }

    [Fact]
    public async Task What_is_waited_for_ends_with_it()
    {
        LookAhead<int> items = new(Endless(Cancellation), Cancellation);
        Assert.True(await items.MoveNextAsync());
        ValueTask<bool> next = items.MoveNextAsync();
        Assert.False(next.IsCompleted);
        await items.DisposeAsync();
        Assert.True(_ended);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await next);
    }

    private async IAsyncEnumerable<int> Endless([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            yield return 1;
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }
        finally
        {
            await Task.Yield();
            _ended = true;
        }
    }
}
