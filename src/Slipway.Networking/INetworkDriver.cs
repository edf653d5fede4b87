using System.Net;

namespace Slipway.Networking;

/// <summary>
/// One network as the engine sees it. The driver keeps nothing on disk: an <see cref="EndpointInfo"/> is all there is to know
/// about an attached container, the engine stores it, and gives all of them back after a restart.
/// </summary>
/// <remarks>
/// The way of a container: <see cref="IDefaultNetwork.PrepareSandboxAsync"/>, <see cref="AttachAsync"/>, launch with
/// <see cref="Sandbox.DuplicateNamespace"/>, dispose the sandbox (its processes keep the namespace alive), and after the exit
/// <see cref="DetachAsync"/>. The way of an engine: <see cref="EnsureAsync"/>, <see cref="RestoreAsync"/>, then the above.
/// All members may be called from any thread at any time after <see cref="EnsureAsync"/>.
/// </remarks>
public interface INetworkDriver : IAsyncDisposable
{
    /// <summary>
    /// Makes the network exist: creates what is missing, and adopts what an earlier engine left without disturbing traffic.
    /// </summary>
    /// <exception cref="NetworkException">No free subnet, or the bridge's name belongs to something that is no bridge.</exception>
    Task<NetworkInfo> EnsureAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Takes back what runs: reserves the addresses and host ports of <paramref name="endpoints"/>, publishes their ports again
    /// where that was lost, and removes every endpoint of an earlier engine that is not among them. Returns the ids of those
    /// whose host port was meanwhile taken by another process; they keep working as far as the kernel lets them.
    /// </summary>
    Task<IReadOnlyList<string>> RestoreAsync(IReadOnlyCollection<EndpointInfo> endpoints, CancellationToken cancellationToken);

    /// <summary>
    /// Shows where an endpoint is that was taken back: a driver that has nothing at the host's side removes its link from there. Nothing happens for an id that is
    /// not attached.
    /// </summary>
    Task LocateAsync(string endpointId, Sandbox sandbox, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Connects a sandbox. After a failure nothing is left behind.</summary>
    /// <exception cref="NetworkException">
    /// An address or port is taken, outside the subnet, or none is left. The message is the one Docker gives.
    /// </exception>
    Task<EndpointInfo> AttachAsync(EndpointRequest request, Sandbox sandbox, CancellationToken cancellationToken);

    /// <summary>
    /// Disconnects an endpoint: unpublishes its ports, frees its address, removes its link. Nothing happens for an id that is not
    /// attached. On return the address and ports are free; the host's end of the link is off the bridge and goes away
    /// in the background (<see cref="DrainAsync"/> waits for that).
    /// </summary>
    Task DetachAsync(string endpointId, CancellationToken cancellationToken);

    /// <summary>
    /// Lets the IPv4 default route of a container that is attached already go through this network, and publishes its ports here. After a failure it is as before.
    /// </summary>
    /// <returns>The endpoint with its ports.</returns>
    /// <exception cref="NetworkException">A port is taken.</exception>
    Task<EndpointInfo> TakeDefaultRouteAsync(string endpointId, string name, IReadOnlyList<PortRequest> ports, Sandbox sandbox, CancellationToken cancellationToken);

    /// <summary>Lets the IPv6 default route of a container that is attached already go through this network, where that has IPv6.</summary>
    Task TakeIpv6RouteAsync(string endpointId, Sandbox sandbox, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Ends the publishing of an endpoint's ports, because another network takes the default route.</summary>
    /// <returns>The endpoint without ports; null for an id that is not attached.</returns>
    Task<EndpointInfo?> GiveUpDefaultRouteAsync(string endpointId, CancellationToken cancellationToken);

    /// <summary>Publishes further ports of an endpoint, then ends the publishing of others. After a failure it is as before.</summary>
    /// <param name="name">The container's, for messages.</param>
    /// <param name="removed">Those of the endpoint's ports that go.</param>
    /// <returns>The endpoint with its ports.</returns>
    /// <exception cref="NetworkException">A port is taken, also by one that goes.</exception>
    Task<EndpointInfo> ChangePortsAsync(
        string endpointId, string name, IReadOnlyList<PublishedPort> removed, IReadOnlyList<PortRequest> added, CancellationToken cancellationToken);

    /// <summary>The ids of the endpoints that exist in the kernel, whatever this driver remembers.</summary>
    Task<IReadOnlyList<string>> ListEndpointsAsync(CancellationToken cancellationToken);

    /// <summary>Waits until all work in the background is done: links removed, the pool full.</summary>
    Task DrainAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Removes the network from the host: endpoints, bridge, rules, and a host setting that <see cref="EnsureAsync"/> changed, unless
    /// another user of it appeared. Only for removal for good: a mere <see cref="IAsyncDisposable.DisposeAsync"/> leaves running containers connected.
    /// </summary>
    Task CleanupAsync(CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="CleanupAsync"/>, also before <see cref="EnsureAsync"/> or after one that failed; what takes the kernel long goes on in the background
    /// (<see cref="DrainAsync"/> waits for it), or with the next start of an engine. Another network of the same names and addresses may be made at once.
    /// </summary>
    async Task RetireAsync(CancellationToken cancellationToken)
    {
        try
        {
            await EnsureAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is NetworkException or Kernel.KernelException)
        {
            // What cannot be made any more (its parent is gone) can be removed: of what there is, nothing is left.
        }

        await CleanupAsync(cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>The network of containers that ask for none, which also makes the sandboxes of all.</summary>
public interface IDefaultNetwork : INetworkDriver
{
    /// <summary>
    /// A network namespace with its loopback device up. One for <see cref="SandboxKind.Attached"/> comes from a pool in which
    /// a link to this network already waits; the wait is for a background thread only if the pool is empty.
    /// </summary>
    Task<Sandbox> PrepareSandboxAsync(SandboxKind kind, CancellationToken cancellationToken);
}

/// <summary>What a sandbox is for.</summary>
public enum SandboxKind
{
    /// <summary>Only a loopback device (<c>--network none</c>).</summary>
    Isolated,

    /// <summary>Will be attached to the driver's network.</summary>
    Attached,
}

/// <summary>A network as it was found or made.</summary>
/// <param name="BridgeName">The host's link: the bridge, or the parent of the containers' links.</param>
/// <param name="Ipv4">Null where containers have no IPv4.</param>
/// <param name="Ipv6">Null where they have no IPv6.</param>
/// <param name="Mtu">Bytes.</param>
/// <param name="Adopted">The bridge was there already.</param>
/// <param name="EnabledForwarding">This call (not an earlier one) switched net.ipv4.ip_forward or net.ipv6.conf.all.forwarding on.</param>
public sealed record NetworkInfo(string BridgeName, SubnetInfo? Ipv4, SubnetInfo? Ipv6, int Mtu, bool Adopted, bool EnabledForwarding)
{
    public IEnumerable<IPNetwork> Subnets => new[] { Ipv4, Ipv6 }.OfType<SubnetInfo>().Select(subnet => subnet.Network);
}

/// <summary>A range that containers get addresses from.</summary>
/// <param name="Network">As <c>172.17.0.0/16</c>.</param>
/// <param name="Gateway">The bridge's own address, or a router outside.</param>
public sealed record SubnetInfo(IPNetwork Network, IPAddress Gateway);

/// <summary>What a container asks of a network.</summary>
public sealed record EndpointRequest
{
    /// <summary>Unique among all endpoints, up to 200 characters of [a-zA-Z0-9_.-]; recovery finds the link by it.</summary>
    public required string EndpointId { get; init; }

    /// <summary>The container's name, for messages.</summary>
    public required string Name { get; init; }

    /// <summary>A fixed IPv4 address (<c>--ip</c>), or null for the lowest free one.</summary>
    public IPAddress? Address { get; init; }

    /// <summary>A fixed IPv6 address (<c>--ip6</c>), or null for the lowest free one.</summary>
    public IPAddress? Ipv6Address { get; init; }

    /// <summary>A fixed hardware address (<c>--mac-address</c>, <c>02:42:ac:11:00:02</c>), or null for one made from the IPv4 address.</summary>
    public string? MacAddress { get; init; }

    /// <summary>The name of the link inside the container; null for the first free one of its kind.</summary>
    public string? LinkName { get; init; }

    /// <summary>Kernel settings of the link inside the container: <c>net.ipv4.conf.IFNAME.log_martians</c> and its value.</summary>
    public IReadOnlyList<LinkSetting> LinkSettings { get; init; } = [];

    /// <summary>Ports to publish; of no use on an internal network, which nothing outside reaches.</summary>
    public IReadOnlyList<PortRequest> Ports { get; init; } = [];

    /// <summary>The container's IPv4 default route goes through this network, and its ports are published here; one that is internal has no gateway.</summary>
    public bool IsDefaultRoute { get; init; } = true;

    /// <summary>Its IPv6 default route goes through this network.</summary>
    public bool IsIpv6DefaultRoute { get; init; } = true;

    /// <summary>The container ends at once: it takes no address that the next one would get. Bridges only.</summary>
    public bool IsMomentary { get; init; }

    /// <summary>The fixed hardware address, or null.</summary>
    /// <exception cref="NetworkException">It is none that an interface can have.</exception>
    internal Kernel.Netlink.MacAddress? ParseMacAddress() =>
        string.IsNullOrEmpty(MacAddress) ? null
        : Kernel.Netlink.MacAddress.TryParse(MacAddress, out Kernel.Netlink.MacAddress parsed) && parsed.IsUnicast ? parsed
        : throw new NetworkException(NetworkErrorKind.InvalidParameter, $"invalid mac address \"{MacAddress}\"");
}

/// <summary>Transport of a published port.</summary>
public enum PortProtocol : byte
{
    Tcp = 6,
    Udp = 17,
    Sctp = 132,
}

/// <summary>A port to publish. Ranges are the caller's to expand, except where any port of one will do.</summary>
/// <param name="HostAddress">An address of the host, 0.0.0.0 or ::, or null for all addresses of both families.</param>
/// <param name="HostPort">0: any free port of the host's ephemeral range.</param>
/// <param name="HostPortEnd">Above <paramref name="HostPort"/>: the first free one from there to here (<c>-p 8000-8010:80</c>).</param>
public sealed record PortRequest(PortProtocol Protocol, ushort ContainerPort, IPAddress? HostAddress = null, ushort HostPort = 0, ushort HostPortEnd = 0);

/// <summary>A published port as it came out. A request without a host address yields two where the host has IPv6: 0.0.0.0 and ::.</summary>
/// <param name="HostPort">0: the port is open at the container's own address, and the host has none (<see cref="GatewayMode.Routed"/>).</param>
public sealed record PublishedPort(PortProtocol Protocol, ushort ContainerPort, IPAddress HostAddress, ushort HostPort);

/// <summary>An attached container; complete, so that storing it is storing the network's state. It has an address of one family or of both.</summary>
/// <param name="MacAddress">Empty where the link has that of its parent.</param>
/// <param name="HostLink">Name of the host's end of the link; empty where there is none.</param>
public sealed record EndpointInfo(string EndpointId, EndpointAddress? Ipv4, EndpointAddress? Ipv6, string MacAddress, string HostLink, IReadOnlyList<PublishedPort> Ports)
{
    /// <summary>The IPv4 address, where there is one.</summary>
    public IPAddress Address => Addresses[0];

    public IReadOnlyList<IPAddress> Addresses => [.. new[] { Ipv4, Ipv6 }.OfType<EndpointAddress>().Select(address => address.Address)];
}

/// <summary>An address of a container.</summary>
/// <param name="PrefixLength">Of the subnet, in bits.</param>
/// <param name="Gateway">Null on an internal network, or where packets go out without one.</param>
public sealed record EndpointAddress(IPAddress Address, int PrefixLength, IPAddress? Gateway);

/// <summary>What kind of answer a failure is.</summary>
public enum NetworkErrorKind
{
    /// <summary>The request contradicts itself or the network (HTTP 400).</summary>
    InvalidParameter,

    /// <summary>Somebody else has what was asked for (HTTP 409; Docker answers a start with 500).</summary>
    Conflict,

    /// <summary>Nothing is left to give.</summary>
    Exhausted,

    /// <summary>The host does not allow or support it.</summary>
    Unavailable,
}

/// <summary>A network operation that could not be done, with Docker's message where Docker has one.</summary>
public sealed class NetworkException(NetworkErrorKind kind, string message, Exception? inner = null) : IOException(message, inner)
{
    public NetworkErrorKind Kind { get; } = kind;
}
