using System.Net;
using System.Net.Sockets;
using System.Text;
using Slipway.Engine;
using Slipway.Engine.Images.Registries;
using Slipway.Registry.Distribution;
using Xunit;

namespace Slipway.Tests.Unit.Images;

public sealed class ImageIndexTests : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ImageIndex _index = new(ProxySettings.None);

    public ImageIndexTests() => _listener.Start();

    private string Host => $"localhost:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _listener.Dispose();
        _index.Dispose();
    }

    [Fact]
    public async Task The_index_is_asked_and_its_answer_filtered()
    {
        Task<string> asked = AnswerAsync("200 OK", """
            {"num_results":2,"results":[{"name":"a","star_count":5,"is_official":true,"is_automated":false,"description":"d"},
            {"name":"b","star_count":1,"is_official":false,"description":null}]}
            """);
        var found = await _index.SearchAsync($"{Host}/some words", 7, Filters("is-official", "true"), Cancellation);

        Assert.StartsWith("GET /v1/search?q=some%20words&n=7 HTTP/1.1\r\n", await asked, StringComparison.Ordinal);
        Assert.Equal([("a", 5, "d")], found.Select(result => (result.Name, result.StarCount, result.Description)));
    }

    [Theory]
    [InlineData("stars", "many", null, "invalid filter 'stars=[many]'")]
    [InlineData("is-official", "maybe", null, "invalid filter 'is-official=[maybe]'")]
    [InlineData("colour", "red", null, "invalid filter 'colour'")]
    [InlineData("stars", "1", 101, "limit 101 is outside the range of [1, 100]")]
    [InlineData("stars", "1", -1, "limit -1 is outside the range of [1, 100]")]
    public async Task What_makes_no_sense_is_refused(string key, string value, int? limit, string message)
    {
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => _index.SearchAsync("x", limit, Filters(key, value), Cancellation));
        Assert.Equal((ErrorKind.InvalidParameter, message), (error.Kind, error.Message));
    }

    [Theory]
    [InlineData("404 Not Found", "{}", "Unexpected status code 404")]
    [InlineData("200 OK", "<html>", "Get \"http://")]
    public async Task A_registry_without_a_search_is_named(string status, string body, string message)
    {
        _ = AnswerAsync(status, body);
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => _index.SearchAsync($"{Host}/x", null, Slipway.Engine.Filters.None, Cancellation));
        Assert.Equal(ErrorKind.Remote, error.Kind);
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_that_does_not_answer_is_named()
    {
        string host = Host;
        _listener.Stop();
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => _index.SearchAsync($"{host}/x", null, Slipway.Engine.Filters.None, Cancellation));
        Assert.Equal(ErrorKind.Remote, error.Kind);
        Assert.StartsWith($"Get \"http://{host}/v1/search?q=x&n=25\": ", error.Message, StringComparison.Ordinal);
    }

    private static Filters Filters(string key, string value) => new(new Dictionary<string, IReadOnlyList<string>> { [key] = [value] });

    /// <returns>The request.</returns>
    private async Task<string> AnswerAsync(string status, string body)
    {
        using Socket socket = await _listener.AcceptSocketAsync(Cancellation);
        byte[] buffer = new byte[4096];
        int count = await socket.ReceiveAsync(buffer, Cancellation);
        await socket.SendAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}"), Cancellation);
        return Encoding.UTF8.GetString(buffer, 0, count);
    }
}
