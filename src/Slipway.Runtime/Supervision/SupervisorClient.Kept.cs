using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision;

/// <summary>Descriptors for the engine that comes after this one.</summary>
public sealed partial class SupervisorClient
{
    /// <inheritdoc/>
    public Task KeepAsync(string name, IReadOnlyList<SafeHandle> descriptors, CancellationToken cancellationToken) =>
        CallAsync(MessageKind.Keep, (ref MessageWriter message) => message.Text(name), [.. descriptors], cancellationToken);

    /// <inheritdoc/>
    public async Task<IReadOnlyDictionary<string, IReadOnlyList<SafeFileHandle>>> KeptAsync(CancellationToken cancellationToken)
    {
        Reply last = await CallAsync(MessageKind.ListKept, static (ref MessageWriter message) => { }, [], cancellationToken).ConfigureAwait(false);
        Dictionary<string, IReadOnlyList<SafeFileHandle>> kept = new(StringComparer.Ordinal);
        foreach (IGrouping<string, Reply> parts in last.Parts.GroupBy(part => new MessageFields(part.Fields).Text(), StringComparer.Ordinal))
        {
            kept.Add(parts.Key, [.. parts.Select(part => part.Descriptor())]);
        }

        return kept;
    }
}
