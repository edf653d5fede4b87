using System.Net;

namespace Slipway.Networking;

/// <summary>The addresses that this host gives on a network that spans hosts: those of its blocks.</summary>
internal sealed class OverlayAddresses(IPNetwork subnet, IPAddress gateway, IReadOnlyList<IPAddress> reserved)
{
    private readonly Lock _lock = new();
    private readonly List<(IPNetwork Block, AddressPool Pool)> _blocks = [];

    /// <summary>The address of this host's bridge: the network's own gateway where that is ours, else the first of the first block.</summary>
    public IPAddress? Bridge { get; private set; }

    /// <summary>Adds the blocks that are not known yet.</summary>
    public void Use(IReadOnlyList<IPNetwork> blocks)
    {
        lock (_lock)
        {
            if (blocks.Count > 0)
            {
                Bridge ??= blocks[0].Contains(gateway) ? gateway : DefaultSubnets.ChooseGateway(subnet, blocks[0], reserved);
            }

            foreach (IPNetwork block in blocks.Where(block => _blocks.All(known => known.Block != block)))
            {
                _blocks.Add((block, new AddressPool(subnet, Bridge!, block, [.. reserved, gateway])));
            }
        }
    }

    /// <summary>Gives an address.</summary>
    /// <param name="requested">Null: the lowest that is free.</param>
    /// <returns>Null where the blocks have none, or not this one.</returns>
    /// <exception cref="NetworkException">Conflict: it is taken.</exception>
    public IPAddress? TryAllocate(string endpointId, IPAddress? requested)
    {
        lock (_lock)
        {
            foreach ((IPNetwork block, AddressPool pool) in _blocks.Where(known => requested is null || known.Block.Contains(requested)))
            {
                try
                {
                    return pool.Allocate(endpointId, requested);
                }
                catch (NetworkException exception) when (exception.Kind == NetworkErrorKind.Exhausted)
                {
                    continue; // the next block may have one
                }
            }

            return null;
        }
    }

    /// <summary>Takes an address back that an endpoint has had.</summary>
    public void Reserve(IPAddress address, string endpointId)
    {
        lock (_lock)
        {
            foreach ((IPNetwork block, AddressPool pool) in _blocks.Where(known => known.Block.Contains(address)))
            {
                pool.Reserve(address, endpointId);
            }
        }
    }

    public void Release(IPAddress address, string endpointId)
    {
        lock (_lock)
        {
            _blocks.ForEach(known => known.Pool.Release(address, endpointId));
        }
    }
}
