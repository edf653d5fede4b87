namespace Slipway.Tests.Harness;

/// <summary>An engine whose containers have user namespaces (<c>--userns-remap</c>), with accounts of its own in place of the host's.</summary>
public sealed class RemappedEngine : IAsyncLifetime
{
    /// <summary>The host's id of root in containers.</summary>
    public const int Root = 231072;

    private readonly string _accounts = Directory.CreateTempSubdirectory("slipway-accounts-").FullName;
    private readonly Engine _engine;

    public RemappedEngine()
    {
        File.WriteAllText(Path.Combine(_accounts, "passwd"), "slipmap:x:64001:64001::/:/bin/false\n");
        File.WriteAllText(Path.Combine(_accounts, "group"), "slipmap:x:64001:\n");
        File.WriteAllText(Path.Combine(_accounts, "subuid"), $"slipmap:{Root}:65536\n");
        File.WriteAllText(Path.Combine(_accounts, "subgid"), $"slipmap:{Root}:65536\n");
        _engine = new Engine("users") { Gateway = $"10.212.{Environment.ProcessId % 250}.1", Flags = ["--userns-remap", "slipmap", "--userns-accounts", _accounts] };
    }

    public Docker Docker => _engine.Docker;

    public string DataRoot => _engine.DataRoot;

    /// <summary>kill -9, and another engine over the same containers.</summary>
    public async Task Restart()
    {
        await _engine.Kill();
        await _engine.Start();
    }

    public async ValueTask InitializeAsync()
    {
        await _engine.Start();
        await AlpineImage.Import(Docker);
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        Directory.Delete(_accounts, recursive: true);
    }
}
