using System.Diagnostics;
namespace Slipway.Tests.Harness;

/// <summary>Base of tests that start an engine of their own, to be killed.</summary>
public abstract class FaultTest(string name) : IAsyncLifetime
{
    protected Engine Engine { get; } = new(name) { Flags = Harness.Engine.SparesGoSoon };

    protected Docker Docker => Engine.Docker;

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await Engine.Start();
        await AlpineImage.Import(Docker);
        // First use opens what stays open: not a leak.
        await Docker.Ok("run", "--rm", "alpine", "true");
        await Docker.Ok("run", "--rm", "--network", "none", "alpine", "true");
    }

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return Engine.DisposeAsync();
    }

    protected Task<string[]> Start(int count, string script) =>
        Task.WhenAll(Enumerable.Range(0, count).Select(i => Docker.Ok("run", "-d", "--name", $"c{i}", "alpine", "sh", "-c", script)));

    /// <summary>Kills the engine at a random instant while a script of commands runs, ends the script, and starts another engine.</summary>
    protected async Task KillWhile(string script, TimeSpan within, Random random, IReadOnlyDictionary<string, string>? variables = null)
    {
        using var client = Programs.Start("sh", ["-c", script], variables);
        await Task.Delay(random.Next((int)within.TotalMilliseconds), Cancellation);
        await Engine.Kill();
        client.Kill(entireProcessTree: true);
        await client.WaitForExitAsync(Cancellation);
        await Engine.Start();
    }

    /// <summary>What an engine works on lies there, its own first container too: it is empty soon after a start.</summary>
    protected async Task TemporaryFolderEmpties()
    {
        for (var clock = Stopwatch.StartNew(); Harness.Engine.Unfinished(Engine.DataRoot).Length > 0 && clock.Elapsed < Programs.Limit(20);)
        {
            await Task.Delay(20, Cancellation);
        }

        Assert.Empty(Harness.Engine.Unfinished(Engine.DataRoot));
    }
}
