using Slipway.Oci;
using Slipway.Storage.Ledger;

namespace Slipway.Tests.Unit.Images;

/// <summary>A ledger with the entries and uses a test gives it.</summary>
internal sealed class FakeLedger : IDiskLedger
{
    public Func<IReadOnlyList<LedgerEntry>> Entries { get; set; } = () => [];

    public Dictionary<Digest, DateTimeOffset> Uses { get; } = [];

    public Task<IReadOnlyList<LedgerEntry>> ReadAsync(CancellationToken cancellationToken) => Task.FromResult(Entries());

    public void Touch(Digest imageId) => Uses[imageId] = DateTimeOffset.MaxValue;

    public DateTimeOffset? LastUsed(Digest imageId) => Uses.TryGetValue(imageId, out DateTimeOffset time) ? time : null;
}
