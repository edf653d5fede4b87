using System.Net;
using Slipway.Engine.Cluster.Votes;
using Slipway.Networking;

namespace Slipway.Engine.Cluster.Networks;

/// <summary>The blocks of one network's subnet that this member has.</summary>
/// <param name="prefix">Bits of a block's prefix.</param>
internal sealed class OverlayBlocks(ClusterNode node, string network, IPNetwork subnet, int prefix) : IOverlayBlocks, IDisposable
{
    /// <summary>Blocks that are asked for in turn, where others ask for the same at the same time.</summary>
    private const int Attempts = 8;

    private readonly SemaphoreSlim _claiming = new(1);

    public IReadOnlyList<IPNetwork> Owned =>
        [.. node.Owned.Where(claim => claim.Network == network).Select(claim => claim.BlockIndex).OfType<int>().Select(Block)];

    private int Count => 1 << (prefix - subnet.PrefixLength);

    /// <summary>The claim of the block that an address lies in; null for one outside the subnet.</summary>
    public static Claim? ClaimOf(string network, IPNetwork subnet, int prefix, IPAddress address) =>
        subnet.Contains(address) ? Claim.Block(network, (int)((Number(address) - Number(subnet.BaseAddress)) >> (32 - prefix))) : null;

    public async Task<IPNetwork> ClaimAsync(IPAddress? containing, CancellationToken cancellationToken)
    {
        int before = Owned.Count;
        await _claiming.WaitAsync(cancellationToken);
        try
        {
            if (containing is null && Owned is var owned && owned.Count > before)
            {
                return owned[^1]; // another container has just got one
            }

            return Block(containing is null ? await ClaimAnyAsync(cancellationToken) : await ClaimAsync(containing));
        }
        catch (EngineException error)
        {
            throw new NetworkException(NetworkErrorKind.Unavailable, error.Message, error);
        }
        finally
        {
            _claiming.Release();
        }
    }

    public void Dispose() => _claiming.Dispose();

    private async Task<int> ClaimAnyAsync(CancellationToken cancellationToken)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            int? index = await node.UseAsync(Choose, cancellationToken);
            if (index is not { } chosen)
            {
                break;
            }

            try
            {
                await ClaimAsync(chosen);
                return chosen;
            }
            catch (ClaimRefusedException)
            {
                continue; // the next look knows that it is taken
            }
        }

        throw new NetworkException(NetworkErrorKind.Exhausted, $"no available IPv4 addresses on this network's address pools: {subnet} (all its blocks are other hosts')");
    }

    private async Task<int> ClaimAsync(IPAddress address)
    {
        int index = ClaimOf(network, subnet, prefix, address)?.BlockIndex ?? throw new NetworkException(NetworkErrorKind.InvalidParameter, $"{address} is not in the subnet {subnet}");
        try
        {
            await ClaimAsync(index);
            return index;
        }
        catch (ClaimRefusedException error)
        {
            throw new NetworkException(NetworkErrorKind.Conflict, $"address {address} is given by host {error.Refusal.Holder} alone: the block {Block(index)} is its own", error);
        }
    }

    private Task ClaimAsync(int index) => node.ClaimAsync([Claim.Block(network, index)], $"addresses of {subnet} for this host", CancellationToken.None);

    /// <summary>A block that nobody has as far as is known; members begin at different ones.</summary>
    private int? Choose(ClusterState state)
    {
        int rank = state.Members.ToList().IndexOf(state.Self);
        for (int round = 0; round < state.Members.Count; round++)
        {
            int first = (rank + round) % state.Members.Count;
            for (int index = first; index < Count; index += state.Members.Count)
            {
                Claim claim = Claim.Block(network, index);
                if (!state.Claims.Claims(claim) && !state.IsClaimedByOther(claim) && state.Claims.RefusedBy(claim) is null)
                {
                    return index;
                }
            }
        }

        return null;
    }

    private IPNetwork Block(int index)
    {
        byte[] address = new byte[4];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(address, Number(subnet.BaseAddress) + ((uint)index << (32 - prefix)));
        return new IPNetwork(new IPAddress(address), prefix);
    }

    private static uint Number(IPAddress address) => System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());
}
