using Slipway.Api;
using Slipway.Api.Secrets;

namespace Slipway.Client;

public sealed partial class EngineClient
{
    /// <returns>The id.</returns>
    public async Task<string> CreateSecretAsync(SecretSpec spec, CancellationToken cancellationToken) =>
        (await PostAsync("/secrets/create", spec, EngineJson.Wire.SecretSpec, EngineJson.Wire.SecretCreateResponse, cancellationToken).ConfigureAwait(false)).ID;

    public Task<List<Secret>> ListSecretsAsync(Dictionary<string, List<string>> filters, CancellationToken cancellationToken) =>
        GetAsync("/secrets?filters=" + Segment(System.Text.Json.JsonSerializer.Serialize(filters, EngineJson.Wire.DictionaryStringListString)), EngineJson.Wire.ListSecret, cancellationToken);

    /// <returns>The answer's bytes as they are.</returns>
    public Task<byte[]> InspectSecretAsync(string reference, CancellationToken cancellationToken) => GetBytesAsync($"/secrets/{Segment(reference)}", cancellationToken);

    public Task RemoveSecretAsync(string reference, CancellationToken cancellationToken) => CommandAsync(HttpMethod.Delete, $"/secrets/{Segment(reference)}", null, cancellationToken);
}
