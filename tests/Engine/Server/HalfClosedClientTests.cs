using System.IO.Pipelines;
using System.Net.Sockets;
using Slipway.Api.Containers;
using Slipway.Server.Transport;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Clients that end their side as soon as they have said what they want, and wait for the answer.</summary>
public sealed class HalfClosedClientTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>The end is there when the body is read, since an earlier request on the connection is still executed; under load it is so without one.</summary>
    [Fact]
    public async Task A_request_with_a_body_is_answered_though_its_client_has_ended_its_side_before_it_was_looked_at()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnCopyTo = (_, _) => Task.Delay(TimeSpan.FromMilliseconds(200), Cancellation);
        server.Engine.OnCreate = _ => new ContainerCreateResponse(FakeEngine.Id, []);
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("PUT /v1.50/containers/c/archive?path=/ HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"
            + "POST /v1.50/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"Image\":\"alpine\"}");
        client.Shutdown(SocketShutdown.Send);
        string answers = await client.ReadTextAsync();
        Assert.StartsWith("HTTP/1.1 200", answers, StringComparison.Ordinal);
        Assert.Contains("HTTP/1.1 201", answers, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_not_whole_at_the_end_is_no_request()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.ExpectWarnings();
        server.Engine.OnCreate = _ => throw new InvalidOperationException("executed");
        using Socket client = await server.ConnectAsync();
        await client.SayAsync("POST /v1.50/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"Image\":\"alpine\"}");
        client.Shutdown(SocketShutdown.Send);
        Assert.Equal("", await client.ReadTextAsync());
    }

    [Fact]
    public async Task The_end_is_told_to_who_has_looked_at_all_before_it()
    {
        (Socket client, Socket served) = await PairAsync();
        using (client)
        {
            await client.SayAsync("head body");
            client.Shutdown(SocketShutdown.Send);
            await using SocketConnection connection = new(served, policy: null);
            TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
            connection.InputEnded.Register(ended.SetResult);
            connection.Start();
            await ended.Task.WaitAsync(Cancellation);
            PipeReader input = connection.Transport.Input;

            ReadResult result = await input.ReadAsync(Cancellation);
            Assert.Equal((9, false), (result.Buffer.Length, result.IsCompleted));
            input.AdvanceTo(result.Buffer.GetPosition(5));
            Assert.True(input.TryRead(out result));
            Assert.Equal((4, false), (result.Buffer.Length, result.IsCompleted));
            input.AdvanceTo(result.Buffer.Start, result.Buffer.GetPosition(2));
            result = await input.ReadAsync(Cancellation);
            Assert.Equal((4, false), (result.Buffer.Length, result.IsCompleted));
            input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            result = await input.ReadAsync(Cancellation);
            Assert.Equal((4, true), (result.Buffer.Length, result.IsCompleted));
            input.AdvanceTo(result.Buffer.End);
            result = await input.ReadAsync(Cancellation);
            Assert.Equal((0, true), (result.Buffer.Length, result.IsCompleted));
            input.AdvanceTo(result.Buffer.End);
        }
    }

    private static async Task<(Socket Client, Socket Served)> PairAsync()
    {
        string path = Path.Combine(Path.GetTempPath(), $"slipway-pair-{Guid.NewGuid():N}");
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(path), Cancellation);
        Socket served = listener.Accept();
        File.Delete(path);
        return (client, served);
    }
}
