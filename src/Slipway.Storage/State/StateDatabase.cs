using Microsoft.Data.Sqlite;
using Slipway.Kernel;

namespace Slipway.Storage.State;

/// <summary>
/// <c>state.db</c>: one connection that writes, one that reads, each on its own thread. Writes are short transactions, in
/// the order in which they were asked for.
/// </summary>
internal sealed class StateDatabase : IAsyncDisposable
{
    // SQLite's result codes, simple and extended (sqlite.org/rescode.html).
    private const int SQLITE_FULL = 13;
    private const int SQLITE_CONSTRAINT_FOREIGNKEY = 787;
    private const int SQLITE_CONSTRAINT_PRIMARYKEY = 1555;
    private const int SQLITE_CONSTRAINT_UNIQUE = 2067;

    private readonly DatabaseThread _writer;
    private readonly DatabaseThread _reader;
    private readonly DiskReserve _reserve;

    /// <exception cref="StorageException">The database cannot be opened, is damaged, or belongs to a later version.</exception>
    public StateDatabase(string path, DiskReserve reserve)
    {
        _reserve = reserve;
        try
        {
            _writer = new DatabaseThread(path, readOnly: false, "state-writer");
            _reader = new DatabaseThread(path, readOnly: true, "state-reader");
        }
        catch (SqliteException error)
        {
            throw new StorageException(StorageErrorKind.System, $"state database: {error.Message}", error);
        }
    }

    /// <summary>A transaction that survives the end of this process.</summary>
    public Task<T> WriteAsync<T>(Func<DatabaseConnection, T> work, CancellationToken cancellationToken) => WriteAsync(work, WritePurpose.Ordinary, cancellationToken);

    /// <inheritdoc cref="WriteAsync{T}(Func{DatabaseConnection, T}, CancellationToken)"/>
    public Task<T> WriteAsync<T>(Func<DatabaseConnection, T> work, WritePurpose purpose, CancellationToken cancellationToken) =>
        RunAsync(connection => connection.InTransaction(work), purpose, cancellationToken);

    /// <summary>A single statement, which is its own transaction.</summary>
    public Task<T> StatementAsync<T>(Func<DatabaseConnection, T> work, CancellationToken cancellationToken) => StatementAsync(work, WritePurpose.Ordinary, cancellationToken);

    /// <inheritdoc cref="StatementAsync{T}(Func{DatabaseConnection, T}, CancellationToken)"/>
    public Task<T> StatementAsync<T>(Func<DatabaseConnection, T> work, WritePurpose purpose, CancellationToken cancellationToken) => RunAsync(work, purpose, cancellationToken);

    /// <summary>A transaction that survives a power failure: it is on the disk when the task completes.</summary>
    /// <param name="after">A query that sees it, before any other write.</param>
    public Task<T> WriteDurablyAsync<T>(Action<DatabaseConnection> work, Func<DatabaseConnection, T> after, WritePurpose purpose, CancellationToken cancellationToken) =>
        RunAsync(
            connection =>
            {
                connection.Execute("PRAGMA synchronous = FULL");
                try
                {
                    connection.InTransaction(transaction =>
                    {
                        work(transaction);
                        return true;
                    });
                }
                finally
                {
                    connection.Execute("PRAGMA synchronous = NORMAL");
                }

                return after(connection);
            },
            purpose,
            cancellationToken);

    /// <summary>A query that sees all writes whose tasks have completed.</summary>
    public Task<T> ReadAsync<T>(Func<DatabaseConnection, T> work, CancellationToken cancellationToken) => _reader.RunAsync(work, cancellationToken);

    public static bool IsDuplicate(SqliteException error) => error.SqliteExtendedErrorCode is SQLITE_CONSTRAINT_UNIQUE or SQLITE_CONSTRAINT_PRIMARYKEY;

    public static bool IsMissingReference(SqliteException error) => error.SqliteExtendedErrorCode == SQLITE_CONSTRAINT_FOREIGNKEY;

    public async ValueTask DisposeAsync()
    {
        await _reader.DisposeAsync().ConfigureAwait(false);
        await _writer.DisposeAsync().ConfigureAwait(false);
        _reserve.Dispose();
    }

    private Task<T> RunAsync<T>(Func<DatabaseConnection, T> work, WritePurpose purpose, CancellationToken cancellationToken) =>
        _writer.RunAsync(
            connection =>
            {
                try
                {
                    var result = work(connection);
                    _reserve.Keep();
                    return result;
                }
                catch (Exception error) when (purpose == WritePurpose.GivesRoom && IsDiskFull(error) && _reserve.TryRelease())
                {
                    return work(connection);
                }
            },
            cancellationToken);

    private static bool IsDiskFull(Exception error) => error is SqliteException { SqliteErrorCode: SQLITE_FULL } or KernelException { Errno: Errno.ENOSPC or Errno.EDQUOT };
}

internal static class SqliteDataReaderExtensions
{
    public static byte[] GetBlob(this SqliteDataReader reader, int ordinal) => reader.GetFieldValue<byte[]>(ordinal);

    public static DateTimeOffset GetTime(this SqliteDataReader reader, int ordinal) => new(reader.GetInt64(ordinal), TimeSpan.Zero);
}
