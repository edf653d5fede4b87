using System.Net.Http.Headers;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution.Authentication;

/// <summary>
/// Proves to one registry who asks. Tokens are kept as long as they last and fetched anew when they end, also in the middle of a pull.
/// A token is asked for what we want to do, never for what a challenge asks: a registry could otherwise collect tokens for another's
/// repositories.
/// </summary>
internal sealed class Authenticator(
    TokenClient tokens, RegistryCredentials? credentials, IReadOnlyList<string> realms, TimeProvider clock, bool isLogin = false) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Dictionary<string, BearerToken> _tokens = [];
    private PosedChallenge? _challenge;

    /// <summary>
    /// What to send without being asked: the answer to the last challenge, or nothing. A registry without TLS is tried by TLS first, by several requests at
    /// once; what one of them was asked over plain HTTP the others do not answer over TLS.
    /// </summary>
    public async ValueTask<AuthenticationHeaderValue?> PrepareAsync(Uri registry, IReadOnlyList<string> scopes, CancellationToken cancellationToken) =>
        credentials is { RegistryToken.Length: > 0 } given ? new AuthenticationHeaderValue("Bearer", given.RegistryToken)
        : _challenge is { } known && RegistryConnection.IsSameOrigin(known.By, registry)
            ? await AnswerAsync(known.Challenge, registry, scopes, rejected: null, cancellationToken).ConfigureAwait(false)
        : null;

    /// <summary>What to send after a 401; null where the registry has already refused all there is.</summary>
    /// <param name="rejected">What was sent and refused.</param>
    /// <exception cref="RegistryException">Unauthorized: no credentials, or the token server refuses; Refused: a realm that may not be asked.</exception>
    public async Task<AuthenticationHeaderValue?> AnswerAsync(
        HttpResponseHeaders answer, Uri registry, IReadOnlyList<string> scopes, AuthenticationHeaderValue? rejected, CancellationToken cancellationToken)
    {
        if (AuthenticationChallenge.Choose(AuthenticationChallenge.Of(answer)) is not { } challenge || credentials is { RegistryToken.Length: > 0 })
        {
            return null;
        }

        _challenge = new PosedChallenge(challenge, registry);
        return await AnswerAsync(challenge, registry, scopes, rejected, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What the token server gave at a login to use in place of the password, or null.</summary>
    public string? RefreshToken { get; private set; }

    public void Dispose() => _turn.Dispose();

    private async ValueTask<AuthenticationHeaderValue?> AnswerAsync(
        AuthenticationChallenge challenge, Uri registry, IReadOnlyList<string> scopes, AuthenticationHeaderValue? rejected, CancellationToken cancellationToken)
    {
        if (challenge.Scheme == "basic")
        {
            return rejected is not null ? null
                : credentials is { Username.Length: > 0 } user ? TokenClient.BasicHeader(user)
                : throw new RegistryException(RegistryErrorKind.Unauthorized, "no basic auth credentials");
        }

        var realm = TokenRealm.Check(challenge["realm"], registry, realms);
        var key = string.Join(' ', scopes);
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_tokens.TryGetValue(key, out var held) && held.Value != rejected?.Parameter && held.Expires > clock.GetUtcNow())
            {
                return new AuthenticationHeaderValue("Bearer", held.Value);
            }

            var token = await tokens.FetchAsync(new TokenRequest(realm, challenge["service"], scopes, credentials, isLogin), cancellationToken).ConfigureAwait(false);
            _tokens[key] = token;
            RefreshToken = token.RefreshToken;
            return new AuthenticationHeaderValue("Bearer", token.Value);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <param name="By">Base address of the registry that asks.</param>
    private sealed record PosedChallenge(AuthenticationChallenge Challenge, Uri By);
}
