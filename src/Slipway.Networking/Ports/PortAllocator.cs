using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Slipway.Networking;

/// <summary>The host ports of all networks' containers. Used by one thread, in the host's namespace.</summary>
/// <param name="hasIpv6">Whether a port without an address is bound on :: too.</param>
/// <param name="ephemeral">First and last port given where none is asked for.</param>
internal sealed class PortAllocator(bool hasIpv6, (ushort First, ushort Last) ephemeral)
{
    /// <summary>The addresses a port is taken at: asked for on every publish, so it must not depend on how many ports there are.</summary>
    private readonly Dictionary<(PortProtocol Protocol, AddressFamily Family, ushort Port), List<IPAddress>> _taken = [];

    /// <summary>The port given last where none was asked for: a number is not given again before all others were, so that who still speaks to the former container does not meet another.</summary>
    private readonly Dictionary<(PortProtocol Protocol, IPAddress Address), ushort> _lastEphemeral = [];

    /// <summary>Reserves all that is asked for on addresses of some families, or nothing.</summary>
    /// <param name="defaultAddress">Where ports without an address are bound; null: on all addresses of both families.</param>
    /// <exception cref="NetworkException">A port is taken, or an address is not the host's.</exception>
    public IReadOnlyList<PortReservation> Reserve(IReadOnlyList<PortRequest> requests, EndpointInfo container, IReadOnlyList<AddressFamily> families, IPAddress? defaultAddress)
    {
        List<PortReservation> reserved = [];
        try
        {
            foreach (PortRequest request in requests)
            {
                reserved.AddRange(ReserveOne(request, container, families, defaultAddress));
            }

            return reserved;
        }
        catch
        {
            Release(reserved);
            throw;
        }
    }

    /// <summary>Takes back a port that was published before a restart; null if another process has it by now.</summary>
    public PortReservation? Restore(PublishedPort port)
    {
        try
        {
            return BindOne(port);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    public void Release(IEnumerable<PortReservation> reservations)
    {
        foreach (PortReservation reservation in reservations)
        {
            PublishedPort port = reservation.Port;
            if (_taken.TryGetValue(Key(port), out List<IPAddress>? addresses) && addresses.Remove(port.HostAddress) && addresses.Count == 0)
            {
                _taken.Remove(Key(port));
            }

            reservation.Dispose();
        }
    }

    private static (PortProtocol Protocol, AddressFamily Family, ushort Port) Key(PublishedPort port) => (port.Protocol, port.HostAddress.AddressFamily, port.HostPort);

    private static bool IsWildcard(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private PortReservation[] ReserveOne(PortRequest request, EndpointInfo container, IReadOnlyList<AddressFamily> families, IPAddress? defaultAddress)
    {
        IPAddress[] addresses = (request.HostAddress ?? defaultAddress) is { } address ? [address]
            : hasIpv6 ? [IPAddress.Any, IPAddress.IPv6Any] : [IPAddress.Any];
        addresses = [.. addresses.Where(candidate => families.Contains(candidate.AddressFamily))];
        if (addresses.Length == 0)
        {
            return [];
        }

        if (request.HostPort != 0 && request.HostPortEnd <= request.HostPort)
        {
            return BindAll(addresses, request, request.HostPort, container);
        }

        (PortProtocol, IPAddress) place = (request.Protocol, addresses[0]);
        foreach (ushort candidate in request.HostPort == 0 ? EphemeralPorts(_lastEphemeral.GetValueOrDefault(place)) : Range(request.HostPort, request.HostPortEnd))
        {
            try
            {
                PortReservation[] reserved = BindAll(addresses, request, candidate, container);
                if (request.HostPort == 0)
                {
                    _lastEphemeral[place] = candidate;
                }

                return reserved;
            }
            catch (NetworkException e) when (e.Kind == NetworkErrorKind.Conflict)
            {
                continue;
            }
        }

        throw new NetworkException(NetworkErrorKind.Exhausted, "all ports are allocated");
    }

    private PortReservation[] BindAll(IPAddress[] addresses, PortRequest request, ushort hostPort, EndpointInfo container)
    {
        List<PortReservation> reserved = [];
        foreach (IPAddress address in addresses)
        {
            PublishedPort port = new(request.Protocol, request.ContainerPort, address, hostPort);
            string shown = new IPEndPoint(address, hostPort).ToString();
            try
            {
                if (IsTaken(port))
                {
                    throw new NetworkException(NetworkErrorKind.Conflict, $"Bind for {shown} failed: port is already allocated");
                }

                reserved.Add(BindOne(port));
            }
            catch (SocketException e)
            {
                Release(reserved);
                string mapping = string.Create(CultureInfo.InvariantCulture, $"{shown}:{container.Address}:{port.ContainerPort}/{port.Protocol}").ToLowerInvariant();
                throw e.SocketErrorCode switch
                {
                    SocketError.AddressAlreadyInUse => new NetworkException(NetworkErrorKind.Conflict, $"failed to bind host port for {mapping}: address already in use", e),
                    SocketError.AddressNotAvailable => new NetworkException(NetworkErrorKind.InvalidParameter, $"failed to bind host port for {mapping}: cannot assign requested address", e),
                    _ => new NetworkException(NetworkErrorKind.Unavailable, $"failed to bind host port for {mapping}: {Reason(e)}", e),
                };
            }
            catch (NetworkException)
            {
                Release(reserved);
                throw;
            }
        }

        return [.. reserved];
    }

    /// <summary>In the words of the kernel's errors, as clients know them.</summary>
    private static string Reason(SocketException e) => char.ToLowerInvariant(e.Message[0]) + e.Message[1..];

    private PortReservation BindOne(PublishedPort port)
    {
        PortReservation reservation = PortReservation.Bind(port);
        if (!_taken.TryGetValue(Key(port), out List<IPAddress>? addresses))
        {
            _taken.Add(Key(port), addresses = []);
        }

        addresses.Add(port.HostAddress);
        return reservation;
    }

    private bool IsTaken(PublishedPort port) =>
        _taken.TryGetValue(Key(port), out List<IPAddress>? addresses)
        && addresses.Any(other => other.Equals(port.HostAddress) || IsWildcard(other) || IsWildcard(port.HostAddress));

    /// <summary>All of them, starting after the one given last, so that a port is not given again at once.</summary>
    /// <param name="last">The port given last; 0: none was.</param>
    private IEnumerable<ushort> EphemeralPorts(ushort last)
    {
        int count = ephemeral.Last - ephemeral.First + 1;
        int start = last == 0 ? 0 : last + 1 - ephemeral.First;
        return Enumerable.Range(0, count).Select(i => (ushort)(ephemeral.First + ((start + i) % count)));
    }

    private static IEnumerable<ushort> Range(ushort first, ushort last) => Enumerable.Range(first, last - first + 1).Select(port => (ushort)port);
}
