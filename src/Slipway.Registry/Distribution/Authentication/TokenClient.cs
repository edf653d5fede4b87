using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution.Authentication;

/// <summary>What a token is asked for.</summary>
/// <param name="Realm">Judged by <see cref="TokenRealm"/>.</param>
/// <param name="Offline">Ask for a refresh token too (login).</param>
internal sealed record TokenRequest(Uri Realm, string? Service, IReadOnlyList<string> Scopes, RegistryCredentials? Credentials, bool Offline = false);

/// <summary>A bearer token, and how long it may be used.</summary>
internal sealed record BearerToken(string Value, DateTimeOffset Expires, string? RefreshToken)
{
    public override string ToString() => $"token until {Expires:O}";
}

/// <summary>
/// Fetches bearer tokens (distribution project: "Token Authentication Specification" and "Oauth2 Token Authentication"): GET with a
/// password or without, POST with a refresh token. A token server's redirects are not followed.
/// </summary>
internal sealed class TokenClient(RequestSender sender, TimeProvider clock)
{
    private const int LargestAnswer = 1 << 20;
    private const string ClientId = "slipway";

    /// <summary>What a token lasts whose server does not say, by the specification; and the least that is believed.</summary>
    private static readonly TimeSpan DefaultLife = TimeSpan.FromSeconds(60);

    /// <summary>A token is not used in its last moments: it would expire on the way.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(5);

    /// <exception cref="RegistryException">With the token server's refusal.</exception>
    public async Task<BearerToken> FetchAsync(TokenRequest token, CancellationToken cancellationToken)
    {
        var asked = clock.GetUtcNow();
        using var answer = await SendAsync(token, cancellationToken).ConfigureAwait(false);
        if (!answer.IsSuccessStatusCode)
        {
            var error = await ErrorAnswer.ReadAsync(answer, cancellationToken).ConfigureAwait(false);
            throw (int)answer.StatusCode is >= 300 and < 400
                ? new RegistryException(RegistryErrorKind.Refused, $"token server {token.Realm.Authority} redirects: not followed with credentials")
                : error.ToException();
        }

        var body = await BoundedBody.ReadAsync(answer, LargestAnswer, $"the answer of token server {token.Realm.Authority}", cancellationToken).ConfigureAwait(false);
        return Read(body, token, asked);
    }

    private async Task<HttpResponseMessage> SendAsync(TokenRequest token, CancellationToken cancellationToken)
    {
        try
        {
            return await sender.SendPersistentlyAsync(
                async cancellation =>
                {
                    using var message = Message(token);
                    return await sender.SendAsync(message, cancellation).ConfigureAwait(false);
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (ConnectionException error)
        {
            throw new RegistryException(
                RegistryErrorKind.Unavailable, $"failed to fetch a token: \"{token.Realm.GetLeftPart(UriPartial.Path)}\": {error.Message}", error);
        }
    }

    private static HttpRequestMessage Message(TokenRequest token)
    {
        var message = new HttpRequestMessage();
        if (token.Credentials is { IdentityToken.Length: > 0 } identity)
        {
            message.Method = HttpMethod.Post;
            message.RequestUri = token.Realm;
            message.Content = new FormUrlEncodedContent(
            [
                new("grant_type", "refresh_token"),
                new("service", token.Service ?? ""),
                new("client_id", ClientId),
                .. token.Scopes.Count > 0 ? new[] { KeyValuePair.Create("scope", string.Join(' ', token.Scopes)) } : [],
                new("refresh_token", identity.IdentityToken),
            ]);
            return message;
        }

        var query = new StringBuilder(token.Realm.Query.TrimStart('?'));
        Append(query, "service", token.Service);
        foreach (var scope in token.Scopes)
        {
            Append(query, "scope", scope);
        }

        if (token.Offline)
        {
            Append(query, "offline_token", "true");
            Append(query, "client_id", ClientId);
        }

        if (token.Credentials is { Username.Length: > 0, Password.Length: > 0 } basic)
        {
            Append(query, "account", basic.Username);
            message.Headers.Authorization = BasicHeader(basic);
        }

        message.RequestUri = new UriBuilder(token.Realm) { Query = query.ToString(), Fragment = "" }.Uri;
        return message;
    }

    public static AuthenticationHeaderValue BasicHeader(RegistryCredentials credentials) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credentials.Username}:{credentials.Password}")));

    private static void Append(StringBuilder query, string name, string? value)
    {
        if (value is { Length: > 0 })
        {
            query.Append(query.Length > 0 ? "&" : "").Append(CultureInfo.InvariantCulture, $"{name}={Uri.EscapeDataString(value)}");
        }
    }

    private static BearerToken Read(ReadOnlyMemory<byte> body, TokenRequest token, DateTimeOffset asked)
    {
        TokenAnswer? answer;
        try
        {
            answer = JsonSerializer.Deserialize(body.Span, TokenJson.Default.TokenAnswer);
        }
        catch (JsonException)
        {
            // Without the reason: it can quote the answer, and the answer holds a secret.
            throw new RegistryException(RegistryErrorKind.Invalid, $"the answer of token server {token.Realm.Authority} is not valid JSON");
        }

        var value = answer?.Token is { Length: > 0 } named ? named : answer?.AccessToken;
        if (value is not { Length: > 0 } || value.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            throw new RegistryException(RegistryErrorKind.Invalid, "authorization server did not include a token in the response");
        }

        var seconds = Math.Clamp(answer!.ExpiresIn ?? 0, DefaultLife.TotalSeconds, TimeSpan.FromDays(1).TotalSeconds);
        return new BearerToken(value, asked + TimeSpan.FromSeconds(seconds) - Margin, answer.RefreshToken is { Length: > 0 } refresh ? refresh : null);
    }
}

internal sealed record TokenAnswer
{
    [JsonPropertyName("token")]
    public string? Token { get; init; }

    [JsonPropertyName("access_token")]
    public string? AccessToken { get; init; }

    [JsonPropertyName("refresh_token")]
    public string? RefreshToken { get; init; }

    [JsonPropertyName("expires_in")]
    public double? ExpiresIn { get; init; }
}

[JsonSourceGenerationOptions(AllowDuplicateProperties = false, MaxDepth = 16)]
[JsonSerializable(typeof(TokenAnswer))]
internal sealed partial class TokenJson : JsonSerializerContext;
