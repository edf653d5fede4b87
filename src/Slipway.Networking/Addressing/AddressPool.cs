using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>The IPv4 addresses of one subnet and who has them. The lowest free one is given, as Docker does.</summary>
internal sealed class AddressPool
{
    private readonly uint _first;
    private readonly uint _last;
    private readonly (uint First, uint Last) _range;
    private readonly Dictionary<uint, string> _owners = [];

    /// <summary>Everything below this is taken.</summary>
    private uint _lowestCandidate;

    /// <param name="gateway">Never given out.</param>
    /// <param name="range">The part of the subnet from which addresses are given that nobody asked for by number; null for all of it.</param>
    /// <param name="reserved">Never given out either.</param>
    public AddressPool(IPNetwork subnet, IPAddress gateway, IPNetwork? range = null, IReadOnlyList<IPAddress>? reserved = null)
    {
        uint network = AddressNumber.Of(subnet.BaseAddress);
        uint size = subnet.PrefixLength == 0 ? uint.MaxValue : (uint)((1UL << (32 - subnet.PrefixLength)) - 1);

        // A /31 or /32 has no network and broadcast address (RFC 3021).
        bool whole = subnet.PrefixLength >= 31;
        _first = whole ? network : network + 1;
        _last = whole ? network + size : network + size - 1;
        _range = range is { } part
            ? (Math.Max(_first, AddressNumber.Of(part.BaseAddress)), Math.Min(_last, (uint)(AddressNumber.Of(part.BaseAddress) + (1UL << (32 - part.PrefixLength)) - 1)))
            : (_first, _last);
        _lowestCandidate = _range.First;
        Subnet = subnet;
        _owners.Add(AddressNumber.Of(gateway), "gateway");
        foreach (IPAddress address in reserved ?? [])
        {
            _owners.TryAdd(AddressNumber.Of(address), "reserved");
        }
    }

    public IPNetwork Subnet { get; }

    /// <summary>Gives an address to <paramref name="owner"/>.</summary>
    /// <param name="requested">Null: the lowest free one.</param>
    /// <exception cref="NetworkException">It is taken or not of this subnet, or none is left.</exception>
    public IPAddress Allocate(string owner, IPAddress? requested)
    {
        if (requested is not null)
        {
            Reserve(requested, owner);
            return requested;
        }

        for (uint candidate = _lowestCandidate; candidate <= _range.Last && candidate >= _range.First; candidate++)
        {
            if (_owners.TryAdd(candidate, owner))
            {
                _lowestCandidate = candidate + 1;
                return AddressNumber.ToAddress(candidate);
            }
        }

        _lowestCandidate = _range.Last;
        throw new NetworkException(NetworkErrorKind.Exhausted, $"no available IPv4 addresses on this network's address pools: {Subnet}");
    }

    /// <summary>Notes that <paramref name="owner"/> has an address; nothing happens if it is noted already.</summary>
    /// <exception cref="NetworkException">Another owner has it, or it is not of this subnet.</exception>
    public void Reserve(IPAddress address, string owner)
    {
        if (address.AddressFamily != AddressFamily.InterNetwork || AddressNumber.Of(address) is var number && (number < _first || number > _last))
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid config for network: user specified IP address {address} is not in the subnet {Subnet}");
        }

        if (!_owners.TryAdd(AddressNumber.Of(address), owner) && _owners[AddressNumber.Of(address)] != owner)
        {
            throw new NetworkException(NetworkErrorKind.Conflict, "Address already in use");
        }
    }

    /// <summary>Frees an address if <paramref name="owner"/> has it.</summary>
    public void Release(IPAddress address, string owner)
    {
        uint number = AddressNumber.Of(address);
        if (_owners.TryGetValue(number, out string? current) && current == owner)
        {
            _owners.Remove(number);
            if (number >= _range.First)
            {
                _lowestCandidate = Math.Min(_lowestCandidate, number);
            }
        }
    }
}
