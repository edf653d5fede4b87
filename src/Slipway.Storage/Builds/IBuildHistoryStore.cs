using Microsoft.Win32.SafeHandles;

namespace Slipway.Storage.Builds;

/// <summary>Records of builds, and the log of each: a row of the database and a file below <c>builds/history</c>.</summary>
public interface IBuildHistoryStore
{
    /// <summary>All records, oldest first. Logs that belong to none are deleted.</summary>
    Task<IReadOnlyList<BuildHistoryRow>> OpenAsync(CancellationToken cancellationToken);

    /// <summary>Stores a record; one of the same reference is replaced, its log stays.</summary>
    Task StoreAsync(BuildHistoryRow row, CancellationToken cancellationToken);

    /// <summary>Deletes records and their logs.</summary>
    Task DeleteAsync(IReadOnlyCollection<string> references, CancellationToken cancellationToken);

    /// <summary>Makes an empty log, in place of one that is there.</summary>
    Task<SafeFileHandle> CreateLogAsync(string reference);

    /// <summary>Null: there is none.</summary>
    Task<SafeFileHandle?> OpenLogAsync(string reference);
}

/// <param name="Reference">Of a client: any text.</param>
/// <param name="LogBytes">What the log takes.</param>
/// <param name="Document">The record, as the engine writes it.</param>
public sealed record BuildHistoryRow(string Reference, DateTimeOffset Started, long LogBytes, byte[] Document);
