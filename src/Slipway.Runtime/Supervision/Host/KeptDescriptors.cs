using Microsoft.Win32.SafeHandles;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>
/// What engines leave for the next one: sockets that must not close while no engine runs. The supervisor does not know what they are. Loop thread only.
/// </summary>
internal sealed class KeptDescriptors
{
    private readonly Dictionary<string, List<SafeFileHandle>> _byName = new(StringComparer.Ordinal);

    public IEnumerable<(string Name, SafeFileHandle Descriptor)> All => _byName.SelectMany(pair => pair.Value, (pair, descriptor) => (pair.Key, descriptor));

    /// <param name="descriptors">Owned from here on; none: what was kept is closed.</param>
    /// <returns>Why they are not kept; null where they are.</returns>
    public string? Keep(string name, List<SafeFileHandle> descriptors)
    {
        if (name.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(name) > ProtocolLimits.MaxId || descriptors.Count > ProtocolLimits.MaxKept)
        {
            descriptors.ForEach(descriptor => descriptor.Dispose());
            return $"at most {ProtocolLimits.MaxKept} descriptors are kept by a name of at most {ProtocolLimits.MaxId} bytes";
        }

        if (_byName.Remove(name, out List<SafeFileHandle>? former))
        {
            former.ForEach(descriptor => descriptor.Dispose());
        }

        if (descriptors.Count > 0)
        {
            _byName.Add(name, descriptors);
        }

        return null;
    }
}
