using System.Net.Sockets;
using System.Text;
using Slipway.BuildKit.Clients;
using Slipway.BuildKit.Protocol;
using Slipway.Engine.Builds;
using Slipway.Grpc;
using Slipway.Server.Authorization;
using Xunit;

namespace Slipway.Tests.Engine.Server.BuildKit;

/// <summary>The history of builds at a socket with a policy.</summary>
public sealed class HistoryTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("build.grpc build.run", false)]
    [InlineData("read build.grpc", false)]
    [InlineData("build.grpc build.history", true)]
    [InlineData("build.*", true)]
    public async Task Builds_of_others_are_listed_where_the_policy_has_the_verb(string verbs, bool isAllowed)
    {
        await using ServerUnderTest server = await PolicyTests.StartAsync(new SocketPolicy { Verbs = verbs.Split(' ') });
        server.Engine.Builds = new FakeBuilds((_, _, _) => Task.FromResult(new BuildResult()));
        await using GrpcChannel channel = new(await UpgradeAsync(server.PathOf("p.sock")));
        Task<IReadOnlyList<HistoryRecord>> listed = new HistoryClient(channel).ListAsync(Cancellation);
        if (isAllowed)
        {
            Assert.Empty(await listed);
        }
        else
        {
            GrpcException refused = await Assert.ThrowsAsync<GrpcException>(() => listed);
            Assert.Equal(GrpcStatusCode.PermissionDenied, refused.Code);
            Assert.EndsWith("the operation build.history is not allowed", refused.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("build.grpc build.run", false)]
    [InlineData("build.grpc build.history", true)]
    public async Task A_build_that_another_watches_is_watched_where_the_policy_has_the_verb(string verbs, bool isAllowed)
    {
        await using ServerUnderTest server = await PolicyTests.StartAsync(new SocketPolicy { Verbs = verbs.Split(' ') });
        server.Engine.Builds = new FakeBuilds((_, _, _) => Task.FromResult(new BuildResult()));

        // Whoever names a build first watches it, until the call ends.
        Assert.Null(await WatchAsync(server));
        if (isAllowed)
        {
            Assert.Null(await WatchAsync(server));
            return;
        }

        GrpcException? refused = null;
        for (int i = 0; i < 100 && refused is null; i++)
        {
            refused = await WatchAsync(server);
        }

        Assert.Equal(GrpcStatusCode.PermissionDenied, refused?.Code);
        Assert.EndsWith("the operation build.history is not allowed", refused!.Message, StringComparison.Ordinal);
    }

    /// <returns>Null: it could be watched.</returns>
    private static async Task<GrpcException?> WatchAsync(ServerUnderTest server)
    {
        await using GrpcChannel channel = new(await UpgradeAsync(server.PathOf("p.sock")));
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        end.CancelAfter(TimeSpan.FromMilliseconds(300));
        try
        {
            await new HistoryClient(channel).ReplayAsync("one", _ => Task.CompletedTask, end.Token);
            return null;
        }
        catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
        {
            return null;
        }
        catch (GrpcException refused) when (refused.Code == GrpcStatusCode.PermissionDenied)
        {
            return refused;
        }
    }

    private static async Task<Stream> UpgradeAsync(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), Cancellation);
        NetworkStream stream = new(socket, ownsSocket: true);
        await stream.WriteAsync("POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"u8.ToArray(), Cancellation);
        StringBuilder head = new();
        for (byte[] one = new byte[1]; !head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal);)
        {
            await stream.ReadExactlyAsync(one, Cancellation);
            head.Append((char)one[0]);
        }

        Assert.StartsWith("HTTP/1.1 101", head.ToString(), StringComparison.Ordinal);
        return stream;
    }
}
