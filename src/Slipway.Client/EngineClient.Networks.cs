using Slipway.Api;
using Slipway.Api.Networks;

namespace Slipway.Client;

/// <summary>Networks.</summary>
public sealed partial class EngineClient
{
    public Task<List<Network>> ListNetworksAsync(IReadOnlyDictionary<string, List<string>>? filters, CancellationToken cancellationToken) =>
        GetAsync(new Query("/networks").Add(filters).ToString(), EngineJson.Wire.ListNetwork, cancellationToken);

    public Task<Network> InspectNetworkAsync(string network, CancellationToken cancellationToken) =>
        GetAsync($"/networks/{Segment(network)}", EngineJson.Wire.Network, cancellationToken);

    /// <summary>The answer as the engine wrote it.</summary>
    public Task<byte[]> InspectNetworkRawAsync(string network, CancellationToken cancellationToken) => GetBytesAsync($"/networks/{Segment(network)}", cancellationToken);

    public Task<NetworkCreateResponse> CreateNetworkAsync(NetworkCreateRequest request, CancellationToken cancellationToken) =>
        PostAsync("/networks/create", request, EngineJson.Wire.NetworkCreateRequest, EngineJson.Wire.NetworkCreateResponse, cancellationToken);

    public Task RemoveNetworkAsync(string network, CancellationToken cancellationToken) =>
        CommandAsync(HttpMethod.Delete, $"/networks/{Segment(network)}", null, cancellationToken);

    public async Task ConnectNetworkAsync(string network, NetworkConnectRequest request, CancellationToken cancellationToken)
    {
        using ByteArrayContent body = Json(request, EngineJson.Wire.NetworkConnectRequest);
        await CommandAsync(HttpMethod.Post, $"/networks/{Segment(network)}/connect", body, cancellationToken).ConfigureAwait(false);
    }

    public async Task DisconnectNetworkAsync(string network, NetworkDisconnectRequest request, CancellationToken cancellationToken)
    {
        using ByteArrayContent body = Json(request, EngineJson.Wire.NetworkDisconnectRequest);
        await CommandAsync(HttpMethod.Post, $"/networks/{Segment(network)}/disconnect", body, cancellationToken).ConfigureAwait(false);
    }
}
