using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>The addresses of one subnet and who has them. The lowest free one is given, as Docker does.</summary>
internal sealed class AddressPool
{
    private readonly AddressFamily _family;
    private readonly UInt128 _first;
    private readonly UInt128 _last;
    private readonly (UInt128 First, UInt128 Last) _range;
    private readonly Dictionary<UInt128, string> _owners = [];

    /// <summary>Everything below this is taken.</summary>
    private UInt128 _lowestCandidate;

    /// <param name="gateway">Never given out.</param>
    /// <param name="range">The part of the subnet from which addresses are given that nobody asked for by number; null for all of it.</param>
    /// <param name="reserved">Never given out either; those of another family are passed over.</param>
    public AddressPool(IPNetwork subnet, IPAddress gateway, IPNetwork? range = null, IReadOnlyList<IPAddress>? reserved = null)
    {
        _family = subnet.BaseAddress.AddressFamily;
        (_first, _last) = AddressNumber.Range(subnet);

        // The first address names the network, or all its routers (RFC 4291 section 2.6.1), and the last of an IPv4 network is the broadcast
        // address; a network of two addresses or one has neither (RFC 3021, RFC 6164).
        if (subnet.PrefixLength < AddressNumber.Bits(_family) - 1)
        {
            _first++;
            _last -= _family == AddressFamily.InterNetwork ? (UInt128)1 : 0;
        }

        _range = (_first, _last);
        if (range is { } part)
        {
            (UInt128 first, UInt128 last) = AddressNumber.Range(part);
            _range = (UInt128.Max(_first, first), UInt128.Min(_last, last));
        }

        _lowestCandidate = _range.First;
        Subnet = subnet;
        _owners.Add(AddressNumber.Of(gateway), "gateway");
        foreach (IPAddress address in (reserved ?? []).Where(address => address.AddressFamily == _family))
        {
            _owners.TryAdd(AddressNumber.Of(address), "reserved");
        }
    }

    /// <summary>Free addresses of which one may be lent: a container that is started meanwhile finds another.</summary>
    internal const int Spare = 8;

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

        for (UInt128 candidate = _lowestCandidate; candidate <= _range.Last && candidate >= _range.First; candidate++)
        {
            if (_owners.TryAdd(candidate, owner))
            {
                _lowestCandidate = candidate + 1;
                return AddressNumber.ToAddress(candidate, _family);
            }
        }

        _lowestCandidate = _range.Last;
        string version = _family == AddressFamily.InterNetwork ? "IPv4" : "IPv6";
        throw new NetworkException(NetworkErrorKind.Exhausted, $"no available {version} addresses on this network's address pools: {Subnet}");
    }

    /// <summary>Gives the highest free address for a moment, which nobody gets that is given the lowest.</summary>
    /// <exception cref="NetworkException">There are too few for that.</exception>
    public IPAddress Lend(string owner)
    {
        UInt128 size = _range.Last >= _range.First ? _range.Last - _range.First + 1 : 0;
        UInt128 given = (UInt128)_owners.Keys.Count(number => number >= _range.First && number <= _range.Last);
        if (size - given < Spare)
        {
            throw new NetworkException(NetworkErrorKind.Exhausted, $"no address to spare in {Subnet}");
        }

        UInt128 candidate = _range.Last;
        while (!_owners.TryAdd(candidate, owner))
        {
            candidate--;
        }

        return AddressNumber.ToAddress(candidate, _family);
    }

    /// <summary>Notes that <paramref name="owner"/> has an address; nothing happens if it is noted already.</summary>
    /// <exception cref="NetworkException">Another owner has it, or it is not of this subnet.</exception>
    public void Reserve(IPAddress address, string owner)
    {
        UInt128 number = AddressNumber.Of(address);
        if (address.AddressFamily != _family || number < _first || number > _last)
        {
            throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid config for network: user specified IP address {address} is not in the subnet {Subnet}");
        }

        if (!_owners.TryAdd(number, owner) && _owners[number] != owner)
        {
            throw new NetworkException(NetworkErrorKind.Conflict, "Address already in use");
        }
    }

    /// <summary>Frees an address if <paramref name="owner"/> has it.</summary>
    public void Release(IPAddress address, string owner)
    {
        UInt128 number = AddressNumber.Of(address);
        if (_owners.TryGetValue(number, out string? current) && current == owner)
        {
            _owners.Remove(number);
            if (number >= _range.First)
            {
                _lowestCandidate = UInt128.Min(_lowestCandidate, number);
            }
        }
    }
}
