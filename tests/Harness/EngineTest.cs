namespace Slipway.Tests.Harness;

/// <summary>The engine that all tests of an assembly share: the one at SLIPWAY_TEST_HOST, or one started for them.</summary>
public sealed class SharedEngine : IAsyncLifetime
{
    private Engine? _engine;

    public Docker Docker { get; private set; } = null!;

    /// <summary>False when the tests are proved against another engine: what only Slipway promises is skipped then.</summary>
    public bool IsSlipway => _engine is not null;

    /// <summary>Null for an engine that was not started here.</summary>
    public string? LogPath => _engine?.LogPath;

    public string? DataRoot => _engine?.DataRoot;

    public int? Pid => _engine?.Pid;

    public async ValueTask InitializeAsync()
    {
        if (Environment.GetEnvironmentVariable("SLIPWAY_TEST_HOST") is { Length: > 0 } host)
        {
            Docker = new Docker(host.Replace("unix://", "", StringComparison.Ordinal));
        }
        else
        {
            _engine = new Engine("conf");
            await _engine.Start();
            Docker = _engine.Docker;
        }
        await AlpineImage.Import(Docker);
    }

    public ValueTask DisposeAsync() => _engine?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>Base of the tests that use the shared engine: names of their own and cleanup in reverse order of creation.</summary>
public abstract class EngineTest(SharedEngine engine) : IAsyncLifetime
{
    private readonly Stack<Func<Task>> _cleanup = new();
    private readonly string _prefix = "t" + Guid.NewGuid().ToString("N")[..8];

    protected Docker Docker => engine.Docker;

    protected bool IsSlipway => engine.IsSlipway;

    /// <summary>Null for an engine that was not started here.</summary>
    protected string? LogPath => engine.LogPath;

    protected string? DataRoot => engine.DataRoot;

    protected int? Pid => engine.Pid;

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>A container name no other test uses; the container is removed after the test.</summary>
    protected string Container(string name = "c")
    {
        var full = $"{_prefix}-{name}";
        Cleanup(() => Docker.Run("rm", "-f", "-v", full));
        return full;
    }

    /// <summary>An image name (with tag) no other test uses; the image is removed after the test.</summary>
    protected string Image(string name = "image")
    {
        var full = $"{_prefix}/{name}:1";
        Cleanup(() => Docker.Run("rmi", "-f", full));
        return full;
    }

    protected void Cleanup(Func<Task> action) => _cleanup.Push(action);

    /// <summary>A folder of the test's own, deleted after it.</summary>
    protected string Folder()
    {
        var folder = Directory.CreateTempSubdirectory("slipway-test-").FullName;
        Cleanup(() =>
        {
            Directory.Delete(folder, recursive: true);
            return Task.CompletedTask;
        });
        return folder;
    }

    /// <summary>Starts a container that sleeps; returns its name.</summary>
    protected async Task<string> Sleeper(params string[] options)
    {
        var name = Container("sleeper" + _cleanup.Count);
        await Docker.Ok(["run", "-d", "--name", name, .. options, "alpine", "sleep", "1000"]);
        return name;
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        while (_cleanup.TryPop(out var action))
        {
            await action();
        }
    }
}
