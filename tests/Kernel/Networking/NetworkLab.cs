using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>
/// A host and an outside world in namespaces of their own: 198.51.100.1 (the host) and 198.51.100.2 (outside) on one wire. The machine
/// that runs the tests is not touched.
/// </summary>
internal sealed class NetworkLab : IAsyncDisposable
{
    public static readonly IPAddress HostAddress = IPAddress.Parse("198.51.100.1");
    public static readonly IPAddress OutsideAddress = IPAddress.Parse("198.51.100.2");
    public static readonly IPAddress HostAddress6 = IPAddress.Parse("2001:db8::1");

    private readonly List<NamespaceThread> _threads = [];
    private readonly List<IDisposable> _owned = [];

    public required NetworkNamespace HostNamespace { get; init; }

    public required NamespaceThread Host { get; init; }

    public required NamespaceThread Outside { get; init; }

    public static async Task<NetworkLab> CreateAsync()
    {
        NamespaceThread maker = new("lab-maker");
        NetworkNamespace host = await MakeNamespaceAsync(maker);
        NetworkNamespace outside = await MakeNamespaceAsync(maker);
        await maker.DisposeAsync();
        NetworkLab lab = new() { HostNamespace = host, Host = new NamespaceThread("lab-host", host), Outside = new NamespaceThread("lab-outside", outside) };
        lab._threads.AddRange([lab.Host, lab.Outside]);
        lab._owned.Add(host);
        await lab.Host.RunAsync(
            () =>
            {
                // A new namespace takes its settings from the machine's (net.core.devconf_inherit_init_net), where an engine may have been.
                File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "0");
                File.WriteAllText("/proc/sys/net/ipv6/conf/all/forwarding", "0");
                using RouteSession session = new();
                session.Begin().SetLink("lo", new LinkChange { Up = true }).AddVeth(new VethPair { Name = "wan", PeerName = "wan", PeerNamespace = outside }).Execute();
                Configure(session, HostAddress, HostAddress6);
            },
            CancellationToken.None);
        await lab.Outside.RunAsync(
            () =>
            {
                using RouteSession session = new();
                session.Begin().SetLink("lo", new LinkChange { Up = true }).Execute();
                Configure(session, OutsideAddress, IPAddress.Parse("2001:db8::2"));
            },
            CancellationToken.None);
        outside.Dispose();
        return lab;
    }

    /// <summary>A driver whose host is the lab's.</summary>
    public BridgeNetwork Network(BridgeOptions? options = null) =>
        new((options ?? new BridgeOptions { PoolSize = 2, IsolatedPoolSize = 1 }) with { HostNamespace = HostNamespace }, TimeProvider.System);

    /// <summary>A container: something that runs inside a sandbox, and keeps it alive.</summary>
    public NamespaceThread Container(Sandbox sandbox)
    {
        using NetworkNamespace inside = NetworkNamespace.FromDescriptor(sandbox.DuplicateNamespace());
        NamespaceThread thread = new("lab-container", inside);
        _threads.Add(thread);
        return thread;
    }

    /// <summary>Attaches a container, which then lives until the end of the test.</summary>
    public async Task<(EndpointInfo Info, NamespaceThread Thread)> RunAsync(BridgeNetwork network, string id, params PortRequest[] ports)
    {
        using Sandbox sandbox = await network.PrepareSandboxAsync(SandboxKind.Attached, CancellationToken.None);
        EndpointInfo info = await network.AttachAsync(new EndpointRequest { EndpointId = id, Name = id, Ports = ports }, sandbox, CancellationToken.None);
        return (info, Container(sandbox));
    }

    /// <summary>A server that answers every connection with its name and the client's address.</summary>
    public async Task ServeTcpAsync(NamespaceThread where, IPEndPoint address, string name = "")
    {
        Socket listener = await where.RunAsync(() => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp), CancellationToken.None);
        _owned.Add(listener);
        listener.Bind(address);
        listener.Listen();
        _ = Task.Run(async () =>
        {
            while (true)
            {
                Socket client = await listener.AcceptAsync();
                await client.SendAsync(Encoding.UTF8.GetBytes($"{name}{((IPEndPoint)client.RemoteEndPoint!).Address}"));
                client.Shutdown(SocketShutdown.Send);
            }
        });
    }

    /// <summary>As <see cref="ServeTcpAsync"/>, for datagrams.</summary>
    public async Task ServeUdpAsync(NamespaceThread where, IPEndPoint address, string name = "")
    {
        Socket socket = await where.RunAsync(() => new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp), CancellationToken.None);
        _owned.Add(socket);
        socket.Bind(address);
        _ = Task.Run(async () =>
        {
            byte[] buffer = new byte[100];
            while (true)
            {
                SocketReceiveFromResult got = await socket.ReceiveFromAsync(buffer, Nobody(socket));
                await socket.SendToAsync(Encoding.UTF8.GetBytes($"{name}{((IPEndPoint)got.RemoteEndPoint).Address}"), got.RemoteEndPoint);
            }
        });
    }

    /// <summary>What a server answers; an exception's code where none does within two seconds.</summary>
    public static async Task<string> AskTcpAsync(NamespaceThread from, IPAddress address, int port, int seconds = 2)
    {
        using Socket socket = await from.RunAsync(() => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp), CancellationToken.None);
        using CancellationTokenSource timeout = new(TimeSpan.FromSeconds(seconds));
        try
        {
            await socket.ConnectAsync(new IPEndPoint(address, port), timeout.Token);
            byte[] buffer = new byte[100];
            int length = 0;
            int got;
            while ((got = await socket.ReceiveAsync(buffer.AsMemory(length), timeout.Token)) > 0)
            {
                length += got;
            }

            return Encoding.UTF8.GetString(buffer, 0, length);
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode.ToString();
        }
        catch (OperationCanceledException)
        {
            return "timeout";
        }
    }

    /// <summary>As <see cref="AskTcpAsync"/>, for datagrams.</summary>
    public static async Task<string> AskUdpAsync(NamespaceThread from, IPAddress address, int port)
    {
        using Socket socket = await from.RunAsync(() => new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp), CancellationToken.None);
        return await AskUdpAsync(socket, address, port);
    }

    public static async Task<string> AskUdpAsync(Socket socket, IPAddress address, int port)
    {
        using CancellationTokenSource timeout = new(TimeSpan.FromSeconds(2));
        try
        {
            await socket.SendToAsync("?"u8.ToArray(), new IPEndPoint(address, port), timeout.Token);
            byte[] buffer = new byte[100];
            SocketReceiveFromResult got = await socket.ReceiveFromAsync(buffer, Nobody(socket), timeout.Token);
            return Encoding.UTF8.GetString(buffer, 0, got.ReceivedBytes);
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode.ToString();
        }
        catch (OperationCanceledException)
        {
            return "timeout";
        }
    }

    /// <summary>Gives the host a default route by the outside.</summary>
    public Task RouteToOutsideAsync() => Host.RunAsync(
        () =>
        {
            using RouteSession session = new();
            session.Begin().AddRoute(new Route(new IPNetwork(IPAddress.Any, 0), OutsideAddress, 0)).Execute();
        },
        CancellationToken.None);

    /// <summary>Makes the outside send packets to a network of the host by the wire.</summary>
    public Task AttackFromOutsideAsync(IPNetwork network, IPAddress gateway) => RouteLoopbackAsync(Outside, "wan", network, gateway);

    /// <summary>Makes a place send packets for a network, its own loopback network included, to a gateway.</summary>
    public static Task RouteLoopbackAsync(NamespaceThread where, string link, IPNetwork network, IPAddress gateway) => where.RunAsync(
        () =>
        {
            using RouteSession session = new();
            File.WriteAllText($"/proc/sys/net/ipv4/conf/{link}/route_localnet", "1");
            InterfaceAddress loopback = new(session.FindLink("lo")!.Index, IPAddress.Loopback, 8);
            if (session.Addresses().Contains(loopback))
            {
                session.Begin().DeleteAddress(loopback).Execute();
            }

            session.Begin().AddRoute(new Route(network, gateway, session.FindLink(link)!.Index)).Execute();
        },
        CancellationToken.None);

    /// <summary>Runs a program in the host's namespace; its output.</summary>
    public string Run(string program, params string[] arguments)
    {
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(Enter(program, arguments)) ?? throw new InvalidOperationException("install util-linux");
        string output = process.StandardOutput.ReadToEnd();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} (install nftables, iproute2, util-linux): {errors}");
        return output;
    }

    /// <summary>How a program is started in the host's namespace.</summary>
    public ProcessStartInfo Enter(string program, params string[] arguments) => new(
        "nsenter", [$"--net=/proc/{Environment.ProcessId}/fd/{HostNamespace.Descriptor.DangerousGetHandle()}", program, .. arguments])
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    };

    /// <summary>Links, addresses, routes, rules and settings of the host, as text to compare.</summary>
    public async Task<string> SnapshotAsync() => await Host.RunAsync(
        () =>
        {
            using RouteSession session = new();
            return string.Join('\n', session.Links().Select(l => $"{l.Index} {l.Name} {l.Kind} {l.Master} {l.IsUp} {l.Alias}")
                .Concat(session.Addresses().Select(a => $"{a.LinkIndex} {a.Address}/{a.PrefixLength}"))
                .Concat(session.Routes().Select(r => r.ToString()))
                .Append(File.ReadAllText("/proc/sys/net/ipv4/ip_forward"))
                .Concat(Directory.EnumerateDirectories("/proc/sys/net/ipv6/conf").Order(StringComparer.Ordinal).Select(folder =>
                    $"{folder} {File.ReadAllText($"{folder}/forwarding").Trim()} {File.ReadAllText($"{folder}/accept_ra").Trim()} {File.ReadAllText($"{folder}/disable_ipv6").Trim()}"))
                .Append(Run("nft", "list", "ruleset")));
        },
        CancellationToken.None);

    public async Task<IReadOnlyList<Link>> HostLinksAsync() => await Host.RunAsync(
        () =>
        {
            using RouteSession session = new();
            return session.Links();
        },
        CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable owned in _owned)
        {
            owned.Dispose();
        }

        foreach (NamespaceThread thread in _threads)
        {
            await thread.DisposeAsync();
        }
    }

    /// <summary>Any sender, of the socket's family.</summary>
    private static IPEndPoint Nobody(Socket socket) => new(socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);

    private static Task<NetworkNamespace> MakeNamespaceAsync(NamespaceThread maker) => maker.RunAsync(
        () =>
        {
            using NetworkNamespace home = NetworkNamespace.OfThisThread();
            return NamespaceThread.InNewNamespace(home, created => created);
        },
        CancellationToken.None);

    private static void Configure(RouteSession session, IPAddress address, IPAddress address6)
    {
        int index = session.FindLink("wan")!.Index;

        // Without duplicate address detection, which would take a second.
        File.WriteAllText("/proc/sys/net/ipv6/conf/wan/accept_dad", "0");
        session.Begin().SetLink(index, new LinkChange { LinkLocalAddress = false }).SetLink(index, new LinkChange { Up = true }).AddAddress(new InterfaceAddress(index, address, 24)).AddAddress(new InterfaceAddress(index, address6, 64)).Execute();
    }
}
