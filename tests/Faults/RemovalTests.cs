using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>A container is removed while others ask for something of it: whoever comes too late brings nothing of it back.</summary>
public sealed class RemovalTests() : FaultTest("remov")
{
    private const int InCi = 8;

    [Fact]
    public async Task Nothing_comes_back_of_a_container_that_is_removed_while_it_is_explained_copied_and_started()
    {
        using var http = new EngineHttp(Docker.Socket);
        var before = await Footprint.Settled(Engine);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            var id = await Docker.Ok("create", "alpine", "true");
            await Task.WhenAll(
                http.Get($"slipway/containers/{id}/explain"), http.Get($"slipway/containers/{id}/explain"), CopyOut(http, id), http.Post($"containers/{id}/start"),
                http.Send(HttpMethod.Delete, $"containers/{id}?force=1"), http.Get($"slipway/containers/{id}/explain"));
            Assert.Equal(404, (await http.Get($"containers/{id}/json")).Status);
            Assert.False(Directory.Exists(Path.Combine(Engine.DataRoot, "containers", id)), $"round {round}");
        }

        (await Footprint.Settled(Engine, before)).EqualTo(before);
    }

    /// <summary>A removal by force does not wait for whoever copies: the archive may end where it is.</summary>
    private static async Task CopyOut(EngineHttp http, string id)
    {
        try
        {
            await http.Get($"containers/{id}/archive?path=/");
        }
        catch (HttpRequestException exception) when (exception.InnerException is HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded })
        {
        }
    }

    [Fact]
    public async Task A_container_that_is_started_again_while_it_is_removed_by_force_is_killed_again()
    {
        using var http = new EngineHttp(Docker.Socket);
        var before = await Footprint.Settled(Engine);
        for (var round = 0; round < Rounds.Of(InCi); round++)
        {
            var id = await Docker.Ok("run", "-d", "alpine", "sleep", "1000");
            using var removed = new CancellationTokenSource();
            var starters = Enumerable.Range(0, 2).Select(async _ =>
            {
                while (!removed.IsCancellationRequested)
                {
                    await http.Post($"containers/{id}/start");
                }
            }).ToArray();
            Assert.Equal(204, (await http.Send(HttpMethod.Delete, $"containers/{id}?force=1")).Status);
            await removed.CancelAsync();
            await Task.WhenAll(starters);
        }

        Assert.Equal("", await Docker.Ok("ps", "-aq"));
        (await Footprint.Settled(Engine, before)).EqualTo(before);
    }
}
