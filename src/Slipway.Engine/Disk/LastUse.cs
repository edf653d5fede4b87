using Slipway.Storage.Images;
using Slipway.Storage.Ledger;

namespace Slipway.Engine.Disk;

internal static class LastUse
{
    /// <summary>When an image was created from, started, loaded or named last; null where nothing is known.</summary>
    public static DateTimeOffset? Of(IDiskLedger ledger, Image image)
    {
        DateTimeOffset? used = ledger.LastUsed(image.Id);
        return used is null || image.LastTagTime > used ? image.LastTagTime ?? used : used;
    }
}
