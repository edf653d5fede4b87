namespace Slipway.Client;

public sealed partial class EngineClient
{
    /// <summary>Opens a connection of HTTP/2 within the API (<c>POST /grpc</c>, <c>POST /session</c>).</summary>
    public async Task<Stream> UpgradeAsync(string path, IReadOnlyList<KeyValuePair<string, string>> headers, CancellationToken cancellationToken) =>
        new UpgradedStream(await ReachAsync(() => HijackedStream.OpenAsync(_address, Prefix + path, null, "h2c", headers, cancellationToken)).ConfigureAwait(false));
}
