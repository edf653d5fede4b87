using Microsoft.Data.Sqlite;
using Slipway.Kernel.Threading;

namespace Slipway.Storage.State;

/// <summary>A thread that owns a connection and does its work in order: SQLite blocks, and the pool must not.</summary>
internal sealed class DatabaseThread : IAsyncDisposable
{
    // sqlite.org/rescode.html
    private const int SQLITE_FULL = 13;

    private readonly WaitQueue<Action<DatabaseConnection>> _queue = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly DatabaseConnection _connection;

    public DatabaseThread(string path, bool readOnly, string name)
    {
        _connection = new DatabaseConnection(path, readOnly);
        new Thread(Run) { Name = name, IsBackground = true }.Start();
    }

    /// <summary>Runs work on the connection, in the order of the calls. Cancelling counts only while the work has not begun.</summary>
    /// <exception cref="StorageException">What the work threw; failures of SQLite as kind System.</exception>
    public Task<T> RunAsync<T>(Func<DatabaseConnection, T> work, CancellationToken cancellationToken)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        bool queued = _queue.TryAdd(
            connection =>
            {
                if (cancellationToken.IsCancellationRequested)
                {
                    completion.SetCanceled(cancellationToken);
                    return;
                }

                try
                {
                    completion.SetResult(work(connection));
                }
                catch (SqliteException error) when (error.SqliteErrorCode == SQLITE_FULL)
                {
                    completion.SetException(new StorageException(StorageErrorKind.System, HostErrors.NoSpace, error));
                }
                catch (SqliteException error)
                {
                    completion.SetException(new StorageException(StorageErrorKind.System, $"state database: {error.Message}", error));
                }
#pragma warning disable CA1031 // The caller gets whatever it was.
                catch (Exception error)
#pragma warning restore CA1031
                {
                    completion.SetException(error);
                }
            });
        return queued ? completion.Task : throw new ObjectDisposedException(nameof(DatabaseThread));
    }

    /// <summary>Ends the thread once all work that was queued is done.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Complete();
        await _ended.Task.ConfigureAwait(false);
    }

    private void Run()
    {
        while (_queue.TryTake(out Action<DatabaseConnection>? work))
        {
            work(_connection);
        }

        _connection.Dispose();
        _ended.SetResult();
    }
}
