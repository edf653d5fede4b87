using Slipway.Tests.Harness;

namespace Slipway.Tests.Differential;

/// <summary>
/// Starts dockerd (of Debian, by <c>bench/peer</c>, or the one at SLIPWAY_PEER_HOST) and Slipway, lets both run the whole script side by side, and
/// keeps what they said, in artifacts/differential too. SLIPWAY_DIFFERENTIAL=TEXT runs the cases whose name contains the text.
/// </summary>
public sealed class Transcripts : IAsyncLifetime
{
    private const string PeerFolder = "/var/lib/slipway-peer-diff";

    private readonly Engine _engine = new("diff") { Gateway = "10.214.0.1", PrefixLength = 16, OwnNetworkNamespace = true };
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-diff-").FullName;
    private bool _ownPeer;

    public static IReadOnlyList<Case> Chosen { get; } =
        [.. Script.Cases.Where(@case => @case.ToString().Contains(Environment.GetEnvironmentVariable("SLIPWAY_DIFFERENTIAL") ?? "", StringComparison.Ordinal))];

    internal IReadOnlyDictionary<string, IReadOnlyList<string>> Dockerd { get; private set; } = null!;

    internal IReadOnlyDictionary<string, IReadOnlyList<string>> Slipway { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Requirement.Root();
        var peer = await StartPeer();
        await _engine.Start();
        var both = await Task.WhenAll(RunAll(new Docker(peer), "dockerd", $"{PeerFolder}/data"), RunAll(_engine.Docker, "slipway", _engine.DataRoot));
        (Dockerd, Slipway) = (both[0], both[1]);
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        if (_ownPeer)
        {
            (await Peer("stop")).Ok();
        }
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<string> StartPeer()
    {
        if (Environment.GetEnvironmentVariable("SLIPWAY_PEER_HOST") is { Length: > 0 } host)
        {
            return host.Replace("unix://", "", StringComparison.Ordinal);
        }
        var started = await Peer("start");
        Requirement.Check(started.ExitCode == 0, $"needs dockerd of Debian, which bench/peer fetches: {started}");
        _ownPeer = true;
        return started.Line.Replace("unix://", "", StringComparison.Ordinal);
    }

    /// <summary>By files, since dockerd goes on holding what it inherits.</summary>
    private static Task<CliResult> Peer(string verb) => Programs.Run(
        "sh",
        ["-c", "out=$(mktemp); \"$1\" \"$2\" > \"$out\"; code=$?; cat \"$out\"; rm \"$out\"; exit $code", "sh", Path.Combine(Repository.Root, "bench", "peer"), verb],
        limit: Programs.Limit(180),
        environment: new Dictionary<string, string> { ["SLIPWAY_PEER_DIR"] = PeerFolder });

    private async Task<IReadOnlyDictionary<string, IReadOnlyList<string>>> RunAll(Docker docker, string name, string dataRoot)
    {
        await AlpineImage.Import(docker);
        var buildx = Repository.Shared is null ? "" : Path.Combine(await CliPlugins.Configuration("docker-buildx"), "cli-plugins", "docker-buildx");
        var side = new Side(docker, Directory.CreateDirectory(Path.Combine(_folder, name)).FullName, dataRoot, buildx);
        side.LinkPrograms();
        var transcripts = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        var kept = Path.Combine(Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts", "differential")).FullName, name);
        await File.WriteAllTextAsync(kept, "");
        foreach (var @case in Chosen)
        {
            var transcript = await side.Run(@case);
            transcripts.Add(@case.ToString(), transcript);
            await File.AppendAllLinesAsync(kept, [$"== {@case}", .. transcript, ""]);
        }
        return transcripts;
    }
}
