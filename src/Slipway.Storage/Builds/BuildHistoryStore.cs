using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Storage.State;
using Slipway.Storage.Threading;

namespace Slipway.Storage.Builds;

internal sealed class BuildHistoryStore(HostPath root, StateDatabase database) : IBuildHistoryStore
{
    private const uint LogDirectoryMode = 0x1c0; // 0700
    private const uint LogMode = 0x180; // 0600

    private readonly HostPath _logs = root / "builds" / "history";

    public async Task<IReadOnlyList<BuildHistoryRow>> OpenAsync(CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(
            connection => connection.Query(
                "SELECT reference, started, log_bytes, document FROM build_history ORDER BY started, reference",
                reader => new BuildHistoryRow(reader.GetString(0), reader.GetTime(1), reader.GetInt64(2), reader.GetBlob(3))),
            cancellationToken).ConfigureAwait(false);
        var known = rows.Select(row => NameOf(row.Reference)).ToHashSet(StringComparer.Ordinal);
        await WorkerThread.RunAsync("build-history", () =>
        {
            using var logs = _logs.TryOpen(OpenFlags.Directory);
            foreach (var name in logs is null ? [] : new DirectoryListing(logs).Select(entry => Encoding.UTF8.GetString(entry.Name)).Where(name => !known.Contains(name)).ToList())
            {
                DirectoryEntry.Unlink(logs!, name);
            }

            return true;
        }).ConfigureAwait(false);
        return rows;
    }

    public Task StoreAsync(BuildHistoryRow row, CancellationToken cancellationToken) =>
        database.StatementAsync(
            connection => connection.Execute(
                """
                INSERT INTO build_history (reference, started, log_bytes, document) VALUES ($1, $2, $3, $4)
                ON CONFLICT DO UPDATE SET started = excluded.started, log_bytes = excluded.log_bytes, document = excluded.document
                """,
                row.Reference, row.Started.UtcTicks, row.LogBytes, row.Document),
            cancellationToken);

    public async Task DeleteAsync(IReadOnlyCollection<string> references, CancellationToken cancellationToken)
    {
        await database.WriteAsync(
            connection => references.Sum(reference => connection.Execute("DELETE FROM build_history WHERE reference = $1", reference)), WritePurpose.GivesRoom, cancellationToken)
            .ConfigureAwait(false);
        await WorkerThread.RunAsync("build-history", () =>
        {
            using var logs = _logs.TryOpen(OpenFlags.Directory);
            foreach (var name in references.Select(NameOf))
            {
                if (logs is not null && FileStatus.TryOf(logs, name) is not null)
                {
                    DirectoryEntry.Unlink(logs, name);
                }
            }

            return true;
        }).ConfigureAwait(false);
    }

    public Task<SafeFileHandle> CreateLogAsync(string reference) => WorkerThread.RunAsync("build-history", () =>
    {
        _logs.CreateDirectories(LogDirectoryMode);
        return (_logs / NameOf(reference)).Open(OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Truncate, LogMode);
    });

    public Task<SafeFileHandle?> OpenLogAsync(string reference) => WorkerThread.RunAsync("build-history", () => (_logs / NameOf(reference)).TryOpen(OpenFlags.ReadOnly));

    /// <summary>A reference may have any characters, and be longer than a name of a file.</summary>
    private static string NameOf(string reference) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(reference)));
}
