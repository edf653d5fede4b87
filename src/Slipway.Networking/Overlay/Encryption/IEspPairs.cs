using System.Net;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// What the kernel encrypts packets of networks with that span hosts, for each pair of this host and another. Each direction has states of its own, whose keys
/// the receiving host makes. What a call needs is looked up in the kernel, which others change too.
/// </summary>
public interface IEspPairs
{
    /// <summary>The states there are. What was taken away of the policies that demand them is there again.</summary>
    /// <returns>Null where this host has no encrypted networks.</returns>
    /// <exception cref="NetworkException">Conflict: another program has policies of the same packets.</exception>
    Task<EspPair?> ReadAsync(IPAddress peer, CancellationToken cancellationToken);

    /// <summary>Makes a key and a state to receive with, beside those there are.</summary>
    /// <returns>Null where this host has no encrypted networks.</returns>
    Task<EspKey?> ReceiveAsync(IPAddress peer, CancellationToken cancellationToken);

    /// <summary>Sends with a key that the other host has made, for the first and only time, and with no other any more.</summary>
    /// <returns>False where there are no encrypted networks, or the number is taken: another key is to be asked for.</returns>
    Task<bool> SendAsync(IPAddress peer, EspKey key, CancellationToken cancellationToken);

    /// <summary>Receives with some states no longer.</summary>
    Task ForgetAsync(IReadOnlyList<EspState> states, CancellationToken cancellationToken);
}

/// <summary>The states of a pair of hosts, each list from the oldest to the newest.</summary>
public sealed record EspPair(IReadOnlyList<EspState> Sending, IReadOnlyList<EspState> Receiving);

/// <param name="Secret">Of <see cref="EspState.KeyLength"/> bytes. Overwritten where it was used.</param>
public sealed record EspKey(uint Spi, byte[] Secret);
