using System.Collections.Concurrent;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>
/// What several solvers of one build have done or are doing, by the keys of the steps: builds for several platforms have stages in common (<c>FROM --platform=$BUILDPLATFORM</c>), and even
/// stages that part later begin alike.
/// </summary>
public sealed class SharedSteps
{
    private readonly ConcurrentDictionary<Digest, Lazy<Task<(CachedStep Step, bool Cached)>>> _steps = new();

    /// <summary>Does a step, or waits for who does it already.</summary>
    /// <param name="stopping">Ends the waiting only: who does it has a token of its own.</param>
    internal Task<(CachedStep Step, bool Cached)> DoAsync(Digest key, Func<Task<(CachedStep Step, bool Cached)>> work, CancellationToken stopping)
    {
        bool isOwn = false;
        Task<(CachedStep Step, bool Cached)> step = _steps.GetOrAdd(key, _ => new Lazy<Task<(CachedStep Step, bool Cached)>>(() =>
        {
            isOwn = true;
            return work();
        })).Value;
        return isOwn ? step : step.WaitAsync(stopping);
    }
}
