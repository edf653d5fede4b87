using System.Security.Cryptography;
using Slipway.Tests.Harness;
using Slipway.Tests.Harness.Registries;

namespace Slipway.Tests.Faults;

/// <summary>
/// A pull is cut at random bytes, by a connection that breaks and stays broken, a registry that dies, or kill -9 of the engine: nothing of it is
/// visible, and the next pull completes it without fetching again what was complete.
/// </summary>
public sealed class PullInterruptedTests : IAsyncLifetime
{
    private const string Repository = "cut/app";

    private readonly Engine _engine = new("pcut") { Flags = ["--max-download-attempts", "2"] };
    private readonly DebianRegistry _registry = new();
    private readonly RegistryLayer[] _layers = [.. Enumerable.Range(1, 6).Select(i => RegistryLayer.Random(i, i * 300_000))];
    private Relay _relay = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Image => $"{_relay.Host}/{Repository}:1";

    public enum Cut
    {
        Connections,
        Registry,
        Engine,
    }

    public async ValueTask InitializeAsync()
    {
        await _engine.Start();
        await _registry.InitializeAsync();
        _relay = new Relay(_registry.Port);
        await _registry.Http.PutImage(Repository, "1", _layers);
    }

    public async ValueTask DisposeAsync()
    {
        await _relay.DisposeAsync();
        await _registry.DisposeAsync();
        await _engine.DisposeAsync();
    }

    [Theory]
    [InlineData(Cut.Connections, 7)]
    [InlineData(Cut.Registry, 7)]
    [InlineData(Cut.Engine, 6)]
    public async Task The_next_pull_completes_what_was_cut(Cut cut, int times)
    {
        await _engine.Docker.Ok("pull", "-q", Image);
        var whole = _relay.Passed;
        await _engine.Docker.Ok("rmi", Image);
        var random = new Random(Rounds.Seed);
        for (var i = 0; i < Rounds.Of(times); i++)
        {
            var position = random.NextInt64(200, whole - 1000);
            var complete = await CutPull(cut, position);
            await CheckNextPull(complete, $"{cut} after {position} of {whole} bytes (seed {Rounds.Seed})");
        }
    }

    [Fact]
    public async Task A_pull_whose_client_leaves_ends()
    {
        using var pull = _engine.Docker.Start("pull", Image);
        _relay.AtCut = () =>
        {
            pull.Kill();
            return pull.WaitForExitAsync(Cancellation);
        };
        _relay.CutAfter(500_000);
        await pull.WaitForExitAsync(Cancellation);
        _relay.Mend();
        await Task.Delay(Programs.Limit(3), Cancellation);

        Assert.Empty((await _engine.Docker.Run("images", "-q")).Ok().Lines);
    }

    /// <returns>Short ids of the layers that the cut pull said to be complete.</returns>
    private async Task<string[]> CutPull(Cut cut, long position)
    {
        _relay.Forget();
        _relay.AtCut = cut switch
        {
            Cut.Registry => _registry.Kill,
            Cut.Engine => _engine.Kill,
            _ => null,
        };
        _relay.CutAfter(position);
        var failed = await _engine.Docker.Run("pull", Image);
        _relay.Mend();
        Assert.True(failed.ExitCode != 0, $"a pull that was cut after {position} bytes succeeded: {failed}");
        if (cut == Cut.Registry)
        {
            await _registry.Start();
        }
        else if (cut == Cut.Engine)
        {
            await _engine.Start();
        }

        Assert.Empty((await _engine.Docker.Run("images", "-aq")).Ok().Lines);
        (await _engine.Docker.Run("image", "inspect", Image)).Exited(1);
        return [.. failed.Lines.Where(line => line.EndsWith(": Pull complete", StringComparison.Ordinal)).Select(line => line.Split(':')[0])];
    }

    private async Task CheckNextPull(string[] complete, string what)
    {
        _relay.Forget();
        var pulled = (await _engine.Docker.Run("pull", Image)).Ok();
        foreach (var layer in _layers)
        {
            var fetched = _relay.Blobs.Contains(layer.BlobDigest);
            Assert.True(!fetched || !complete.Contains(layer.ShortId), $"{layer.ShortId} was complete and was fetched again: {what}\n{pulled}");
            Assert.True(fetched || pulled.Output.Contains($"{layer.ShortId}: Already exists", StringComparison.Ordinal), $"{layer.ShortId} is from nowhere: {what}\n{pulled}");
        }

        // Every byte is right.
        var sums = await _engine.Docker.Ok(
            "run", "--rm", "--network", "none", "-v", "/bin/busybox:/busybox:ro", Image, "/busybox", "sh", "-c", "cd /; for i in 1 2 3 4 5 6; do /busybox sha256sum file$i; done");
        Assert.Equal(Enumerable.Range(1, 6).Select(i => $"{Sum(i)}  file{i}"), sums.Split('\n'));
        await _engine.Docker.Ok("rmi", Image);
        Assert.Empty((await _engine.Docker.Run("images", "-aq")).Ok().Lines);
    }

    private static string Sum(int seed)
    {
        var content = new byte[seed * 300_000];
        new Random(seed).NextBytes(content);
        return Convert.ToHexStringLower(SHA256.HashData(content));
    }
}
