using System.Net.Sockets;
using Slipway.Engine;
using Slipway.Server;
using Slipway.Server.Transport;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Where the server listens, and where it refuses to.</summary>
public sealed class ListeningTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-listen-").FullName;

    private string SocketPath => Path.Combine(_directory, "s.sock");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Only_owner_and_group_may_connect_and_the_file_goes_with_the_server()
    {
        using (ListeningSockets.Open(["unix://" + SocketPath], []))
        {
            Assert.Equal(
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite,
                File.GetUnixFileMode(SocketPath) & (UnixFileMode)0b111_111_111);
        }

        Assert.False(File.Exists(SocketPath));
    }

    [Fact]
    public void The_socket_of_a_server_that_was_killed_is_replaced()
    {
        using (Socket dead = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(SocketPath));
            File.Move(SocketPath, SocketPath + ".kept");
        }

        File.Move(SocketPath + ".kept", SocketPath);
        using ListeningSockets sockets = ListeningSockets.Open(["unix://" + SocketPath], []);

        Assert.Single(sockets.ByEndPoint);
    }

    [Fact]
    public void The_socket_of_a_server_that_runs_is_left_alone()
    {
        using ListeningSockets first = ListeningSockets.Open(["unix://" + SocketPath], []);

        EngineException refused = Assert.Throws<EngineException>(() => ListeningSockets.Open(["unix://" + SocketPath], []));

        Assert.Equal(ErrorKind.Conflict, refused.Kind);
        Assert.True(File.Exists(SocketPath));
    }

    [Fact]
    public void A_file_that_is_no_socket_is_not_removed()
    {
        File.WriteAllText(SocketPath, "");

        Assert.Throws<EngineException>(() => ListeningSockets.Open(["unix://" + SocketPath], []));
        Assert.True(File.Exists(SocketPath));
    }

    [Fact]
    public async Task Warming_up_asks_for_what_cannot_be_and_changes_nothing()
    {
        FakeEngine engine = new();
        TaskCompletionSource<string> asked = new();
        engine.OnCreate = create =>
        {
            asked.TrySetResult(create.Request.Image);
            throw new EngineException(ErrorKind.NotFound, "No such image");
        };
        TaskCompletionSource finished = new();
        engine.OnEvents = (_, _, _, _) =>
        {
            finished.TrySetResult();
            return AsyncEnumerable.Empty<Slipway.Api.Events.EventMessage>();
        };
        using CancellationTokenSource stop = new();
        CollectingLog log = new();
        Task running = ServerHost.RunAsync(engine, new ServerOptions { Hosts = ["unix://" + SocketPath], Logging = log }, stop.Token);

        await finished.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await stop.CancelAsync();
        await running;

        Assert.Equal("warm-up@sha256:" + new string('0', 64), await asked.Task);
        Assert.Empty(engine.Calls);
        Assert.Empty(log.Entries);
    }

    /// <summary>Docker Desktop's engine answered without authentication on a subnet that containers reach.</summary>
    [Theory]
    [InlineData("tcp://0.0.0.0:2375")]
    [InlineData("tcp://192.168.65.7:2375")]
    [InlineData("tcp://[::]:2375")]
    [InlineData("tcp://172.17.0.1:2375")]
    public async Task CVE_2025_9074_Plain_TCP_is_refused_beyond_loopback(string host)
    {
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() =>
            ServerHost.RunAsync(new FakeEngine(), new ServerOptions { Hosts = [host] }, TestContext.Current.CancellationToken));

        Assert.StartsWith($"refusing to listen on {host}: ", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tcp://127.0.0.1:0")]
    [InlineData("tcp://[::1]:0")]
    public void Loopback_TCP_is_served(string host)
    {
        using ListeningSockets sockets = ListeningSockets.Open([host], []);

        Assert.Single(sockets.ByEndPoint);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("http://127.0.0.1")]
    [InlineData("unix://relative/path")]
    [InlineData("tcp://example.org:2375")]
    [InlineData("tcp://127.0.0.1:99999")]
    public void Addresses_that_make_no_sense_are_refused(string host) =>
        Assert.Equal(ErrorKind.InvalidParameter, Assert.Throws<EngineException>(() => ListeningSockets.Open([host], [])).Kind);

    [Fact]
    public void A_path_too_long_for_a_socket_is_refused() =>
        Assert.Throws<EngineException>(() => ListeningSockets.Open(["unix:///" + new string('x', 107)], []));

    [Theory]
    [InlineData("docker", 999u)]
    [InlineData("slipway,docker", 999u)]
    [InlineData("none", null)]
    public void The_first_group_that_exists_owns_the_socket(string names, uint? expected) =>
        Assert.Equal(expected, HostGroups.FirstId(names.Split(','), ["root:x:0:", "# comment", "docker:x:999:me", "docker:x:1:"]));
}
