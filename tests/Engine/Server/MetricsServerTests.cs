using System.Net;
using System.Net.Sockets;
using Slipway.Engine;
using Slipway.Server;
using Slipway.Server.Metrics;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>What answers at <c>metrics-addr</c>.</summary>
public sealed class MetricsServerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_engine_s_counts_are_there_and_nothing_else_of_the_engine()
    {
        int port = FreePort();
        await using ServerUnderTest server = await ServerUnderTest.StartAsync((options, _) => options with { MetricsAddress = $"127.0.0.1:{port}" });
        using HttpClient client = new() { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        using HttpResponseMessage metrics = await client.GetAsync(new Uri("/metrics", UriKind.Relative), Cancellation);
        Assert.Equal((HttpStatusCode.OK, "fake_up 1\n"), (metrics.StatusCode, await metrics.Content.ReadAsStringAsync(Cancellation)));
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", metrics.Content.Headers.GetValues("Content-Type").Single());
        foreach (string path in new[] { "/", "/metrics/", "/info", "/v1.50/containers/json", "/_ping" })
        {
            using HttpResponseMessage other = await client.GetAsync(new Uri(path, UriKind.Relative), Cancellation);
            Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
        }

        using HttpResponseMessage post = await client.PostAsync(new Uri("/metrics", UriKind.Relative), null, Cancellation);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, post.StatusCode);
        using HttpRequestMessage question = new(HttpMethod.Head, "/metrics");
        using HttpResponseMessage head = await client.SendAsync(question, Cancellation);
        Assert.Equal((HttpStatusCode.OK, 10), (head.StatusCode, head.Content.Headers.ContentLength));
        Assert.Equal(404, (await server.SendAsync("GET", "/metrics")).Status);
    }

    [Fact]
    public async Task An_address_in_use_is_told()
    {
        using Socket taken = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        int port = ((IPEndPoint)taken.LocalEndPoint!).Port;
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => ServerUnderTest.StartAsync((options, _) => options with { MetricsAddress = $"127.0.0.1:{port}" }));
        Assert.Contains($"cannot serve metrics at 127.0.0.1:{port}: Address already in use", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1:9323", "127.0.0.1:9323")]
    [InlineData("0.0.0.0:9323", "0.0.0.0:9323")]
    [InlineData(":9323", "0.0.0.0:9323")]
    [InlineData("localhost:0", "127.0.0.1:0")]
    [InlineData("[::1]:80", "[::1]:80")]
    public void An_address_is_read(string text, string expected) => Assert.Equal(expected, MetricsServer.Parse(text).ToString());

    [Theory]
    [InlineData("9323")]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1:")]
    [InlineData("127.0.0.1:65536")]
    [InlineData("127.0.0.1:-1")]
    [InlineData("127.0.0.1:+1")]
    [InlineData("host.example:9323")]
    [InlineData("::1:9323")]
    [InlineData("tcp://127.0.0.1:9323")]
    public void One_that_is_none_is_refused_before_anything_is_started(string text) =>
        Assert.Contains("invalid metrics-addr", Assert.Throws<EngineException>(() => new ServerOptions { MetricsAddress = text }.Validate()).Message, StringComparison.Ordinal);

    private static int FreePort()
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
