namespace Slipway.Server.Streams;

/// <summary>
/// A sequence whose next element is waited for beside other work. When that work ends, so does the wait: an iterator that is disposed of while it is at work refuses, by a
/// NotSupportedException that hides what happened, and goes on.
/// </summary>
internal sealed class LookAhead<T> : IAsyncDisposable
{
    private readonly CancellationTokenSource _end;
    private readonly IAsyncEnumerator<T> _items;
    private Task<bool>? _waiting;

    /// <param name="cancellationToken">Ends the sequence.</param>
    public LookAhead(IAsyncEnumerable<T> items, CancellationToken cancellationToken)
    {
        _end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _items = items.GetAsyncEnumerator(_end.Token);
    }

    public T Current => _items.Current;

    /// <summary>As of an enumerator; what it returns need not be awaited.</summary>
    public ValueTask<bool> MoveNextAsync()
    {
        ValueTask<bool> next = _items.MoveNextAsync();
        if (next.IsCompleted)
        {
            return next;
        }

        _waiting = next.AsTask();
        return new ValueTask<bool>(_waiting);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        if (_waiting is Task waiting)
        {
            await waiting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await _items.DisposeAsync();
        _end.Dispose();
    }
}
