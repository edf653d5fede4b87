using Microsoft.Data.Sqlite;

namespace Slipway.Storage.State;

/// <summary>A connection with its prepared statements. Used by one thread.</summary>
internal sealed class DatabaseConnection : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, SqliteCommand> _statements = [];

    public DatabaseConnection(string path, bool readOnly)
    {
        // Pooling would keep the files open after Dispose.
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = readOnly ? SqliteOpenMode.ReadOnly : SqliteOpenMode.ReadWriteCreate,
            Pooling = false,
        }.ToString());
        _connection.Open();
        Execute("PRAGMA busy_timeout = 10000");
        if (!readOnly)
        {
            // WAL with NORMAL: a commit is in the file (so it survives this process), fsync comes with the checkpoint; a power failure may lose
            // the last commits, never the consistency. Commits that must survive that too ask for FULL.
            Execute("PRAGMA journal_mode = WAL");
            Execute("PRAGMA synchronous = NORMAL");
            Execute("PRAGMA foreign_keys = ON");
            Schema.Migrate(_connection);
        }
    }

    /// <summary>Runs a statement once, without keeping it.</summary>
    public void Execute(string sql)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    /// <summary>Runs a statement; its parameters are <c>$1</c>, <c>$2</c> and so on. Returns the rows changed.</summary>
    public int Execute(string sql, params ReadOnlySpan<object?> values) => Statement(sql, values).ExecuteNonQuery();

    /// <summary>Runs a query and maps its rows.</summary>
    public List<T> Query<T>(string sql, Func<SqliteDataReader, T> map, params ReadOnlySpan<object?> values)
    {
        using var reader = Statement(sql, values).ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
        {
            rows.Add(map(reader));
        }

        return rows;
    }

    /// <summary>Runs work in a transaction, which an exception rolls back.</summary>
    public T InTransaction<T>(Func<DatabaseConnection, T> work)
    {
        Execute("BEGIN IMMEDIATE", []);
        try
        {
            var result = work(this);
            Execute("COMMIT", []);
            return result;
        }
        catch
        {
            // After some errors, a full disk among them, SQLite has rolled back already (sqlite.org/lang_transaction.html, 3).
            if (SQLitePCL.raw.sqlite3_get_autocommit(_connection.Handle!) == 0)
            {
                Execute("ROLLBACK", []);
            }

            throw;
        }
    }

    public void Dispose()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        _connection.Dispose();
    }

    private SqliteCommand Statement(string sql, ReadOnlySpan<object?> values)
    {
        if (!_statements.TryGetValue(sql, out var command))
        {
            command = _connection.CreateCommand();
            command.CommandText = sql;
            for (var i = 1; i <= values.Length; i++)
            {
                command.Parameters.Add(new SqliteParameter { ParameterName = string.Create(null, $"${i}") });
            }

            command.Prepare();
            _statements.Add(sql, command);
        }

        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i] ?? DBNull.Value;
        }

        return command;
    }
}
