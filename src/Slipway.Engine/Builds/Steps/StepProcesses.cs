using System.Collections.Concurrent;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Builds.Steps;

/// <summary>The processes of steps that run, by id: who waits for the end of each.</summary>
internal sealed class StepProcesses
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<ProcessExit>> _waiting = new(StringComparer.Ordinal);

    /// <summary>To be called before the process is started: it may end at once.</summary>
    public Task<ProcessExit> Expect(string id) => _waiting.GetOrAdd(id, _ => new TaskCompletionSource<ProcessExit>(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Forget(string id) => _waiting.TryRemove(id, out _);

    /// <summary>False for the process of somebody else.</summary>
    public bool Expects(string id) => _waiting.ContainsKey(id);

    public void End(ProcessExit exit)
    {
        if (_waiting.TryGetValue(exit.Id, out TaskCompletionSource<ProcessExit>? waiting))
        {
            waiting.TrySetResult(exit);
        }
    }

    /// <summary>The supervisor is lost: nobody will tell how they ended.</summary>
    public void Lose()
    {
        foreach (TaskCompletionSource<ProcessExit> waiting in _waiting.Values)
        {
            waiting.TrySetException(new EngineException(ErrorKind.System, "the supervisor ended while the step ran"));
        }
    }
}
