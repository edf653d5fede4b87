using Slipway.Grpc;

namespace Slipway.BuildKit.Sessions;

/// <summary>The sessions there are, by their ids.</summary>
public sealed class ClientSessions(TimeProvider time)
{
    /// <summary>A build may come before the session it names: they travel on connections of their own.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, ClientSession> _sessions = new(StringComparer.Ordinal);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <exception cref="GrpcException">AlreadyExists.</exception>
    public void Add(ClientSession session)
    {
        TaskCompletionSource changed;
        lock (_sessions)
        {
            if (!_sessions.TryAdd(session.Id, session))
            {
                throw new GrpcException(GrpcStatusCode.AlreadyExists, $"session {session.Id} already exists");
            }

            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }

    public void Remove(ClientSession session)
    {
        lock (_sessions)
        {
            _sessions.Remove(session.Id);
        }
    }

    /// <summary>The session of an id, waiting a little for it to come.</summary>
    /// <exception cref="GrpcException">NotFound.</exception>
    public async Task<ClientSession> FindAsync(string id, CancellationToken cancellationToken)
    {
        using CancellationTokenSource patience = new(s_patience, time);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        while (true)
        {
            Task changed;
            lock (_sessions)
            {
                if (_sessions.TryGetValue(id, out ClientSession? session))
                {
                    return session;
                }

                changed = _changed.Task;
            }

            try
            {
                await changed.WaitAsync(end.Token);
            }
            catch (OperationCanceledException) when (patience.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new GrpcException(GrpcStatusCode.NotFound, $"no active session for {id}: context deadline exceeded");
            }
        }
    }
}
