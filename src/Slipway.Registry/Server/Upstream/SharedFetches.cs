using System.Collections.Concurrent;

namespace Slipway.Registry.Server.Upstream;

/// <summary>Fetches under way, so that those who want the same wait for the same one.</summary>
internal sealed class SharedFetches<T>
{
    private readonly ConcurrentDictionary<string, Lazy<Task<T>>> _running = new();

    public async Task<T> GetAsync(string key, Func<Task<T>> fetch, CancellationToken cancellationToken)
    {
        Lazy<Task<T>> shared = _running.GetOrAdd(key, _ => new Lazy<Task<T>>(() => Task.Run(() => RunAsync(key, fetch))));
        return await shared.Value.WaitAsync(cancellationToken);
    }

    private async Task<T> RunAsync(string key, Func<Task<T>> fetch)
    {
        try
        {
            return await fetch();
        }
        finally
        {
            _running.TryRemove(key, out _);
        }
    }
}
