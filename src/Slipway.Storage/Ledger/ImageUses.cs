using System.Collections.Concurrent;
using Slipway.Oci;
using Slipway.Storage.State;

namespace Slipway.Storage.Ledger;

/// <summary>When each image was used last. Exact in memory; in the database a minute behind at most, so that starting containers costs no writes.</summary>
internal sealed class ImageUses(StateDatabase database, TimeProvider time)
{
    private static readonly TimeSpan Precision = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<Digest, Use> _uses = new();

    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(
            connection => connection.Query("SELECT image_id, last_used FROM image_uses", reader => (Id: Digest.Parse(reader.GetString(0)), Time: reader.GetTime(1))),
            cancellationToken).ConfigureAwait(false);
        foreach (var (id, last) in rows)
        {
            _uses[id] = new Use(last, last);
        }
    }

    public DateTimeOffset? LastUsed(Digest imageId) => _uses.TryGetValue(imageId, out var use) ? use.Last : null;

    public void Touch(Digest imageId)
    {
        var now = time.GetUtcNow();
        var before = _uses.GetValueOrDefault(imageId);
        var store = now - before.Stored >= Precision;
        _uses[imageId] = new Use(now, store ? now : before.Stored);
        if (store)
        {
            _ = StoreAsync(imageId, now);
        }
    }

    /// <summary>Forgets the images that are gone.</summary>
    public void Keep(IReadOnlySet<Digest> images)
    {
        foreach (var id in _uses.Keys)
        {
            if (!images.Contains(id))
            {
                _uses.TryRemove(id, out _);
            }
        }
    }

    private async Task StoreAsync(Digest imageId, DateTimeOffset time)
    {
        try
        {
            // Of an image that was removed meanwhile there is nothing to note.
            await database.StatementAsync(
                connection => connection.Execute(
                    "INSERT INTO image_uses (image_id, last_used) SELECT id, $2 FROM images WHERE id = $1 ON CONFLICT DO UPDATE SET last_used = excluded.last_used",
                    imageId.ToString(), time.UtcTicks),
                CancellationToken.None).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Nobody waits. A database that cannot be written fails those who do.
        catch (Exception)
#pragma warning restore CA1031
        {
            _uses.TryUpdate(imageId, new Use(time, default), new Use(time, time));
        }
    }

    private readonly record struct Use(DateTimeOffset Last, DateTimeOffset Stored);
}
