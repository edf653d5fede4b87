using System.Collections.Concurrent;

namespace Slipway.Networking;

/// <summary>The servers that one container's questions go to, with what is known of them.</summary>
internal sealed class DnsUpstreams(IReadOnlyList<UpstreamServer> servers, TimeProvider time)
{
    /// <summary>For so long a server that did not answer is asked after the others.</summary>
    internal static readonly TimeSpan Distrust = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<UpstreamServer, long> _silentSince = new();

    public DnsCache Cache { get; } = new(time);

    /// <summary>In the order they were named; those that did not answer lately last, so that not every question waits for a server that is gone.</summary>
    public IEnumerable<UpstreamServer> InOrder() => _silentSince.IsEmpty ? servers : servers.OrderBy(IsSilent);

    public void Answered(UpstreamServer server) => _silentSince.TryRemove(server, out _);

    public void WasSilent(UpstreamServer server) => _silentSince[server] = time.GetTimestamp();

    private bool IsSilent(UpstreamServer server) => _silentSince.TryGetValue(server, out long since) && time.GetElapsedTime(since) < Distrust;
}
