using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// The name server of one container, at 127.0.0.11 in its network namespace. It listens at ports the kernel gives, and rules inside the namespace
/// lead port 53 of that address to them: the container's own programs may have port 53 of all addresses. Where somebody keeps the sockets while no engine
/// runs, queries wait in them for the next one.
/// </summary>
public sealed class SandboxResolver : IAsyncDisposable
{
    /// <summary>Where containers find it.</summary>
    public static IPAddress Address { get; } = new([127, 0, 0, 11]);

    internal const string Table = "slipway-names";

    private const int MaxMessage = 65535;

    /// <summary>Of a query by UDP: a name, its type, an OPT record.</summary>
    private const int MaxDatagram = 4096;

    private const int MaxConnections = 64;
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(20);

    private readonly Socket _datagrams;
    private readonly Socket _streams;
    private readonly NetworkNamespace _namespace;
    private readonly DnsForwarder _forwarder;
    private readonly DnsUpstreams _upstreams;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationToken _stopped;
    private readonly Task _serving;
    private volatile ResolverZones _zones;
    private int _connections;
    private int _rotation;

    internal SandboxResolver(Listeners listeners, NetworkNamespace sandbox, DnsForwarder forwarder, ResolverZones zones, IReadOnlyList<UpstreamServer> upstreams)
    {
        (_datagrams, _streams) = (listeners.Datagrams, listeners.Streams);
        (_namespace, _forwarder, _zones, _upstreams) = (sandbox, forwarder, zones, new DnsUpstreams(upstreams, TimeProvider.System));
        _stopped = _stopping.Token;
        _serving = Task.WhenAll(Task.Run(ServeDatagramsAsync), Task.Run(ServeStreamsAsync));
    }

    /// <summary>What names are looked up in from now on.</summary>
    public ResolverZones Zones
    {
        get => _zones;
        set => _zones = value;
    }

    /// <summary>What is to be kept for the next engine; of use until this is disposed.</summary>
    public IReadOnlyList<SafeHandle> Sockets => [_datagrams.SafeHandle, _streams.SafeHandle];

    /// <summary>Makes the sockets, or takes those that were kept, and the rules, with the calling thread inside the namespace.</summary>
    /// <param name="kept">The <see cref="Sockets"/> of an earlier engine, consumed; or none.</param>
    internal static Listeners Listen(IReadOnlyList<SafeFileHandle> kept)
    {
        Socket datagrams = kept.Count > 0 ? Adopted(kept[0]) : new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        Socket streams = kept.Count > 1 ? Adopted(kept[1]) : new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (!datagrams.IsBound)
            {
                datagrams.Bind(new IPEndPoint(Address, 0));
            }

            if (!streams.IsBound)
            {
                streams.Bind(new IPEndPoint(Address, 0));
                streams.Listen();
            }

            using NfTablesSession rules = new();
            Redirect(rules, ((IPEndPoint)datagrams.LocalEndPoint!).Port, ((IPEndPoint)streams.LocalEndPoint!).Port);
            return new Listeners(datagrams, streams);
        }
        catch
        {
            datagrams.Dispose();
            streams.Dispose();
            throw;
        }
    }

    private static Socket Adopted(SafeFileHandle descriptor)
    {
        SafeSocketHandle handle = new(descriptor.DangerousGetHandle(), ownsHandle: true);
        descriptor.SetHandleAsInvalid();
        return new Socket(handle);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _datagrams.Dispose();
        _streams.Dispose();
        await _serving.ConfigureAwait(false);
        _namespace.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Leads port 53 to the listeners, in place of what an earlier engine left.</summary>
    private static void Redirect(NfTablesSession session, int datagramPort, int streamPort)
    {
        const string Map = "servers";
        const string Chain = "output";
        const ushort Domain = 53;
        bool left = session.Tables().Any(table => table.Name == Table);
        NfTablesBatch batch = session.Begin();
        if (left)
        {
            batch.DeleteTable(Table);
        }

        batch
            .AddTable(Table, "slipway: names")
            .AddMap(Table, new NfTablesMap(Map, [SetType.Ipv4Address, SetType.TransportProtocol, SetType.Port], [SetType.Ipv4Address, SetType.Port]))
            .AddElements(Table, Map, [Element(ProtocolType.Udp, datagramPort), Element(ProtocolType.Tcp, streamPort)])
            .AddChain(Table, new BaseChain(Chain, ChainType.Nat, NetfilterHook.Output, ChainPriority.DestinationNat))
            .AddRule(Table, Chain, new Rule().RedirectByAddressAndPort(Map))
            .Commit();

        static MapElement Element(ProtocolType protocol, int port) => new(
            [.. Address.GetAddressBytes(), (byte)protocol, 0, 0, 0, .. Word(Domain)], [.. Address.GetAddressBytes(), .. Word((ushort)port)]);
        static byte[] Word(ushort port) => [(byte)(port >> 8), (byte)port, 0, 0];
    }

    private async Task ServeDatagramsAsync()
    {
        byte[] buffer = new byte[MaxDatagram];
        SocketAddress client = new(AddressFamily.InterNetwork);
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                int length = await _datagrams.ReceiveFromAsync(buffer, SocketFlags.None, client, _stopped).ConfigureAwait(false);
                if (Answer(buffer.AsMemory(0, length), stream: false, out DnsQuestion? unknown) is { } answer)
                {
                    await _datagrams.SendToAsync(answer, SocketFlags.None, client, _stopped).ConfigureAwait(false);
                }
                else if (unknown is not null)
                {
                    SocketAddress sender = new(client.Family, client.Size);
                    client.Buffer.Span.CopyTo(sender.Buffer.Span);
                    _ = ForwardDatagramAsync(buffer.AsSpan(0, length).ToArray(), unknown, sender);
                }
            }
            catch (SocketException)
            {
                // Of an earlier answer: its client is gone (ICMP), or there was no room for it. The next one is served.
                continue;
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ForwardDatagramAsync(byte[] query, DnsQuestion question, SocketAddress client)
    {
        try
        {
            byte[] answer = await ForwardAsync(query, question, stream: false).ConfigureAwait(false);
            await _datagrams.SendToAsync(answer, SocketFlags.None, client, _stopped).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client is gone, or the container: nobody waits.
        }
    }

    private async Task ServeStreamsAsync()
    {
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                Socket connection = await _streams.AcceptAsync(_stopped).ConfigureAwait(false);
                if (Interlocked.Increment(ref _connections) > MaxConnections)
                {
                    Interlocked.Decrement(ref _connections);
                    connection.Dispose();
                    continue;
                }

                _ = ServeConnectionAsync(connection);
            }
            catch (SocketException)
            {
                continue; // the client had left before it was accepted
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    /// <summary>Messages with their length before them (RFC 1035 section 4.2.2), any number one after the other (RFC 7766).</summary>
    private async Task ServeConnectionAsync(Socket connection)
    {
        try
        {
            await using NetworkStream stream = new(connection, ownsSocket: true);
            byte[] prefix = new byte[2];
            while (true)
            {
                using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(_stopped);
                limit.CancelAfter(s_idle);
                await stream.ReadExactlyAsync(prefix, limit.Token).ConfigureAwait(false);
                byte[] query = new byte[(prefix[0] << 8) | prefix[1]];
                await stream.ReadExactlyAsync(query, limit.Token).ConfigureAwait(false);
                byte[]? answer = Answer(query, stream: true, out DnsQuestion? unknown) ?? (unknown is null ? null : await ForwardAsync(query, unknown, stream: true).ConfigureAwait(false));
                if (answer is null)
                {
                    return;
                }

                await stream.WriteAsync((byte[])[(byte)(answer.Length >> 8), (byte)answer.Length, .. answer], limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The client closed, said nothing for too long, or the container is gone.
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
        }
    }

    /// <summary>The answer to what is known here, or to what is no query; null for what gets none, and for <paramref name="unknown"/> questions.</summary>
    private byte[]? Answer(ReadOnlyMemory<byte> query, bool stream, out DnsQuestion? unknown)
    {
        unknown = null;
        if (!DnsQuestion.TryRead(query, out DnsQuestion? question, out DnsCode? code))
        {
            return code is { } failure ? DnsAnswer.Failure(query.Span, failure) : null;
        }

        ResolverZones zones = _zones;
        int limit = stream ? MaxMessage : question.PayloadSize ?? DnsQuestion.PlainPayload;
        if (question.ReverseAddress() is { } address && zones.NameOf(address) is { } name)
        {
            return DnsAnswer.Name(question, name, limit);
        }

        // A name that is known here is not asked elsewhere in another type either: the world's answer would be that it does not exist.
        if (question.Type != DnsType.Ptr && zones.Find(question.Name) is { } addresses)
        {
            return DnsAnswer.Addresses(question, Rotated(addresses), limit);
        }

        if (!zones.Forwards)
        {
            return DnsAnswer.Failure(question, DnsCode.ServerFailure);
        }

        unknown = question;
        return null;
    }

    private async Task<byte[]> ForwardAsync(byte[] query, DnsQuestion question, bool stream) =>
        await _forwarder.AskAsync(query, question, stream, _upstreams, _namespace, _stopped).ConfigureAwait(false) ?? DnsAnswer.Failure(question, DnsCode.ServerFailure);

    /// <summary>Each answer begins with another address, so that clients which take the first spread over all.</summary>
    private IReadOnlyList<IPAddress> Rotated(IReadOnlyList<IPAddress> addresses)
    {
        if (addresses.Count < 2)
        {
            return addresses;
        }

        int start = (int)((uint)Interlocked.Increment(ref _rotation) % (uint)addresses.Count);
        return [.. addresses.Skip(start), .. addresses.Take(start)];
    }

    internal sealed record Listeners(Socket Datagrams, Socket Streams);
}
