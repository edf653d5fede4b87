using Slipway.Server.Authorization;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>The operations of checkpoints, and who may name a directory of the host in them.</summary>
public sealed class CheckpointRequestTests
{
    [Fact]
    public async Task They_are_there_with_experimental_features_only()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.KnownCheckpoints.AddRange(["one", "two"]);
        Assert.Equal(501, (await server.SendAsync("GET", "/containers/x/checkpoints")).Status);
        Assert.Equal(400, (await server.SendAsync("POST", "/containers/x/start?checkpoint=one")).Status);
        using (HttpResponseMessage ping = await server.Http.GetAsync(new Uri("/_ping", UriKind.Relative), TestContext.Current.CancellationToken))
        {
            Assert.Equal("false", ping.Headers.GetValues("Docker-Experimental").Single());
        }

        server.Engine.IsExperimental = true;
        using (HttpResponseMessage ping = await server.Http.GetAsync(new Uri("/_ping", UriKind.Relative), TestContext.Current.CancellationToken))
        {
            Assert.Equal("true", ping.Headers.GetValues("Docker-Experimental").Single());
        }

        Assert.Equal((200, "[{\"Name\":\"one\"},{\"Name\":\"two\"}]\n"), await server.SendAsync("GET", "/containers/x/checkpoints"));
        Assert.Equal(201, (await server.SendAsync("POST", "/containers/x/checkpoints", """{"CheckpointID":"one","Exit":true}""")).Status);
        Assert.Equal(400, (await server.SendAsync("POST", "/containers/x/checkpoints", "null")).Status);
        Assert.Equal(204, (await server.SendAsync("DELETE", "/containers/x/checkpoints/one")).Status);
        Assert.Equal(["checkpoint x one  False", "rm checkpoint x one "], server.Engine.Calls);
    }

    [Theory]
    [InlineData("POST", "/v1.50/containers/x/checkpoints", """{"CheckpointID":"one","CheckpointDir":"/etc","Exit":true}""")]
    [InlineData("GET", "/v1.50/containers/x/checkpoints?dir=/etc", null)]
    [InlineData("DELETE", "/v1.50/containers/x/checkpoints/one?dir=/etc", null)]
    [InlineData("POST", "/v1.50/containers/x/start?checkpoint=one&checkpoint-dir=/etc", null)]
    public async Task A_directory_of_the_host_has_to_be_allowed_by_the_policy_of_a_socket(string method, string path, string? body)
    {
        await using ServerUnderTest server = await PolicyTests.StartAsync(new SocketPolicy(), new SocketPolicy { Privileged = ["binds"] });
        server.Engine.IsExperimental = true;
        server.Engine.OnStart = _ => Task.CompletedTask;
        using HttpClient client = server.ClientOf("p.sock");
        using HttpClient trusted = server.ClientOf("p2.sock");
        (int status, string answer) = await PolicyTests.SendAsync(client, method, path, body);
        Assert.Equal(403, status);
        Assert.Contains("the option binds is not allowed", answer, StringComparison.Ordinal);
        Assert.Empty(server.Engine.Calls);
        Assert.InRange((await PolicyTests.SendAsync(trusted, method, path, body)).Status, 200, 204);
        Assert.InRange((await PolicyTests.SendAsync(client, method, path.Split('?')[0], body?.Replace("/etc", "", StringComparison.Ordinal))).Status, 200, 204);
    }
}
