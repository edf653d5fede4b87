using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Runtime.Supervision;
using Xunit;

namespace Slipway.Tests.Kernel.Supervision;

/// <summary>What an engine leaves with the supervisor is there for the next one, and for nobody when it is forgotten.</summary>
public sealed class KeptDescriptorTests
{
    private static CancellationToken None => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_socket_takes_what_is_sent_to_it_while_no_engine_is_there()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        EndPoint address;
        using (Socket socket = Bound())
        {
            address = socket.LocalEndPoint!;
            await supervisor.Client.KeepAsync("a", [socket.SafeHandle, socket.SafeHandle], None);
        }

        await supervisor.Client.DisposeAsync();
        using (Socket sender = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            sender.SendTo("waits"u8, address);
        }

        await using SupervisorClient next = await supervisor.ConnectAsync();
        IReadOnlyDictionary<string, IReadOnlyList<SafeFileHandle>> kept = await next.KeptAsync(None);
        Assert.Equal(["a"], kept.Keys);
        Assert.Equal(2, kept["a"].Count);
        using (kept["a"][1])
        using (Socket socket = Adopted(kept["a"][0]))
        {
            byte[] buffer = new byte[100];
            Assert.Equal("waits"u8.ToArray(), buffer[..await socket.ReceiveAsync(buffer, None)]);
            Assert.Equal(address, socket.LocalEndPoint);
        }
    }

    [Fact]
    public async Task What_is_kept_anew_replaces_what_was_and_none_forgets_it()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        using Socket first = Bound();
        using Socket second = Bound();
        await supervisor.Client.KeepAsync("a", [first.SafeHandle], None);
        await supervisor.Client.KeepAsync("b", [first.SafeHandle], None);
        await supervisor.Client.KeepAsync("a", [second.SafeHandle], None);
        IReadOnlyDictionary<string, IReadOnlyList<SafeFileHandle>> kept = await supervisor.Client.KeptAsync(None);
        using (Socket a = Adopted(kept["a"].Single()))
        using (Socket b = Adopted(kept["b"].Single()))
        {
            Assert.Equal(second.LocalEndPoint, a.LocalEndPoint);
            Assert.Equal(first.LocalEndPoint, b.LocalEndPoint);
        }

        await supervisor.Client.KeepAsync("a", [], None);
        await supervisor.Client.KeepAsync("b", [], None);
        await supervisor.Client.KeepAsync("never", [], None);
        Assert.Empty(await supervisor.Client.KeptAsync(None));

        // Nobody has it open any more: the port is free.
        EndPoint address = first.LocalEndPoint!;
        first.Dispose();
        using Socket again = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        again.Bind(address);
    }

    [Fact]
    public async Task Too_many_or_an_impossible_name_are_refused_and_nothing_is_kept()
    {
        await using SupervisorThread supervisor = await SupervisorThread.StartAsync();
        using SafeFileHandle file = File.OpenHandle("/dev/null");
        await Assert.ThrowsAsync<SupervisorException>(() => supervisor.Client.KeepAsync("a", [.. Enumerable.Repeat(file, 9)], None));
        await Assert.ThrowsAsync<SupervisorException>(() => supervisor.Client.KeepAsync("", [file], None));
        await Assert.ThrowsAsync<SupervisorException>(() => supervisor.Client.KeepAsync(new string('a', 129), [file], None));
        Assert.Empty(await supervisor.Client.KeptAsync(None));
    }

    private static Socket Bound()
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private static Socket Adopted(SafeFileHandle descriptor)
    {
        SafeSocketHandle handle = new(descriptor.DangerousGetHandle(), ownsHandle: true);
        descriptor.SetHandleAsInvalid();
        return new Socket(handle);
    }
}
