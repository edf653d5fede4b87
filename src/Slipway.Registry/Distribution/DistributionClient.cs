using System.Net;
using Slipway.Oci;
using Slipway.Registry.Distribution.Authentication;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution;

/// <summary>The client of registries. One for the engine: it holds the connections, and no credentials.</summary>
public sealed class DistributionClient : IDistribution, IDisposable
{
    private readonly TimeProvider _clock;
    private readonly EndpointDirectory _directory;
    private readonly HandlerPool _handlers;
    private readonly RequestSender _sender;
    private readonly TokenClient _tokens;

    /// <exception cref="FormatException">The configuration holds a value that cannot be meant.</exception>
    public DistributionClient(RegistryConfiguration configuration, TimeProvider? clock = null)
    {
        configuration.Validate();
        _clock = clock ?? TimeProvider.System;
        _directory = new EndpointDirectory(configuration, _clock);
        _handlers = new HandlerPool(configuration, _directory);
        _sender = new RequestSender(_handlers.SendAsync, configuration.Retry, _clock);
        _tokens = new TokenClient(_sender, _clock);
    }

    public IRemoteRepository Open(Reference name, RegistryAccess access, RegistryCredentials? credentials)
    {
        string[] scopes = [Scope(name.Path, access)];
        return new RemoteRepository(
            Reference.Parse(name.Name),
            access,
            [.. _directory.Find(name.Domain, access).Select(endpoint => Connect(endpoint, access, endpoint.IsMirror ? null : credentials, scopes))],
            _clock);
    }

    public async Task<string?> LoginAsync(RegistryCredentials credentials, CancellationToken cancellationToken)
    {
        var endpoint = _directory.FindLogin(credentials.ServerAddress);
        using var authenticator = new Authenticator(_tokens, credentials, endpoint.TokenRealms, _clock, isLogin: true);
        using var connection = new RegistryConnection(endpoint, _directory, _sender, authenticator, RegistryAccess.Pull, []);
        using var answer = await connection.SendAsync(new RegistryRequest(HttpMethod.Get, "v2/"), cancellationToken).ConfigureAwait(false);
        if (answer.StatusCode == HttpStatusCode.OK)
        {
            return authenticator.RefreshToken;
        }

        var refusal = await ErrorAnswer.ReadAsync(answer, cancellationToken).ConfigureAwait(false);
        throw new RegistryException(
            refusal.Kind, $"login attempt to {new Uri(connection.Address, "v2/")} failed with status: {(int)answer.StatusCode} {ErrorAnswer.ReasonPhrase(answer.StatusCode)}");
    }

    public void Dispose() => _handlers.Dispose();

    /// <summary>The right that is asked for (distribution project, "Token Scope Documentation").</summary>
    internal static string Scope(string path, RegistryAccess access) => $"repository:{path}:{(access == RegistryAccess.Push ? "pull,push" : "pull")}";

    private RegistryConnection Connect(RegistryEndpoint endpoint, RegistryAccess access, RegistryCredentials? credentials, IReadOnlyList<string> scopes) =>
        new(endpoint, _directory, _sender, new Authenticator(_tokens, credentials, endpoint.TokenRealms, _clock), access, scopes);
}
