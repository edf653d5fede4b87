using Slipway.Oci;
using Slipway.Storage.State;

namespace Slipway.Storage.Content;

/// <summary>
/// Documents whose files are not known to be on the disk yet. An image's documents are written into the transaction that makes the image
/// visible, so that it costs one fsync instead of one for each file and one for their names; the files follow in batches. The table is a
/// redo log: what a power failure took from a file is written again at the next start.
/// </summary>
internal static class DocumentJournal
{
    /// <summary>Bytes; what is larger costs more to write twice than to flush.</summary>
    internal const int MaximumDocument = 64 << 10;

    /// <summary>Documents that are kept at most: 2 MiB, and as many files to flush.</summary>
    internal const int Capacity = 32;

    /// <summary>Stores documents, as part of the caller's transaction: durable when that is.</summary>
    public static void Add(DatabaseConnection connection, ContentStore content, IReadOnlyList<ReadOnlyMemory<byte>> documents)
    {
        if (Count(connection) + documents.Count > Capacity)
        {
            Settle(connection, content);
        }

        foreach (var document in documents)
        {
            if (document.Length > MaximumDocument)
            {
                content.Add(document.Span);
                continue;
            }

            content.AddUnsynced(document.Span);
            connection.Execute(
                "INSERT INTO document_journal (digest, content) VALUES ($1, $2) ON CONFLICT DO NOTHING", Digest.Of(document.Span).ToString(), document.ToArray());
        }
    }

    /// <summary>Puts the files of all documents on the disk, those that are missing or damaged anew, and forgets them.</summary>
    public static void Settle(DatabaseConnection connection, ContentStore content)
    {
        var documents = connection.Query("SELECT digest, content FROM document_journal", reader => (Digest: Digest.Parse(reader.GetString(0)), Content: reader.GetBlob(1)));
        if (documents.Count == 0)
        {
            return;
        }

        foreach (var document in documents.Where(document => !content.TrySync(document.Digest, document.Content)))
        {
            content.Add(document.Content);
        }

        content.SyncNames();
        connection.Execute("DELETE FROM document_journal", []);
    }

    /// <summary>Forgets documents that no image names any more.</summary>
    public static void DeleteUnused(DatabaseConnection connection) =>
        connection.Execute("DELETE FROM document_journal WHERE digest NOT IN (SELECT digest FROM image_blobs)", []);

    private static long Count(DatabaseConnection connection) => connection.Query("SELECT count(*) FROM document_journal", reader => reader.GetInt64(0))[0];
}
