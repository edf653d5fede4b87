namespace Slipway.Tests.Harness;

/// <summary>Base of tests that start an engine of their own, to be killed.</summary>
public abstract class FaultTest(string name) : IAsyncLifetime
{
    protected Engine Engine { get; } = new(name);

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
}
