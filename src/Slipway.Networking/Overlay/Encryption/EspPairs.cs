using System.Net;
using System.Security.Cryptography;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <inheritdoc cref="IEspPairs"/>
public sealed class EspPairs(NetworkHost host) : IEspPairs
{
    public Task<EspPair?> ReadAsync(IPAddress peer, CancellationToken cancellationToken) => host.RunAsync(sessions => sessions.Encryption.Read(peer), cancellationToken);

    public Task<EspKey?> ReceiveAsync(IPAddress peer, CancellationToken cancellationToken) => host.RunAsync(sessions => sessions.Encryption.Receive(peer), cancellationToken);

    public async Task<bool> SendAsync(IPAddress peer, EspKey key, CancellationToken cancellationToken)
    {
        try
        {
            return await host.RunAsync(sessions => sessions.Encryption.Send(peer, key), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key.Secret);
        }
    }

    public Task ForgetAsync(IReadOnlyList<EspState> states, CancellationToken cancellationToken) => host.RunAsync(
        sessions =>
        {
            sessions.Encryption.Forget(states);
            return true;
        },
        cancellationToken);
}
