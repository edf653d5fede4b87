using System.Net;
using System.Net.Http.Headers;
using Slipway.Registry.Distribution.Authentication;

namespace Slipway.Registry.Distribution.Transport;

/// <summary>
/// Requests about one repository to one endpoint: finds out which of its addresses speaks, authenticates, follows redirects by
/// hand, and repeats what may pass.
/// </summary>
internal sealed class RegistryConnection(
    RegistryEndpoint endpoint, EndpointDirectory directory, RequestSender sender, Authenticator authenticator, RegistryAccess access, IReadOnlyList<string> scopes) : IDisposable
{
    private const int MostRedirects = 5;

    private Uri? _settled;

    public RegistryEndpoint Endpoint => endpoint;

    public RequestSender Sender => sender;

    public Authenticator Authenticator => authenticator;

    /// <summary>Base address in use; before the first answer, the one to be tried first.</summary>
    public Uri Address => _settled ?? endpoint.Address;

    /// <summary>Whether a request got no answer, after all attempts: a mirror is not asked again then.</summary>
    public bool IsSilent { get; private set; }

    /// <summary>Any answer but one that a further attempt might better, or the last of those.</summary>
    /// <exception cref="RegistryException">No answer, or no way to authenticate.</exception>
    public async Task<HttpResponseMessage> SendAsync(RegistryRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return request.Persistent
                ? await sender.SendPersistentlyAsync(cancellation => SettleAsync(request, cancellation), cancellationToken, () => _settled is not null).ConfigureAwait(false)
                : await SettleAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (ConnectionException error)
        {
            IsSilent = true;

            // Before the first answer dockerd's text names the base: it asks that first.
            var address = _settled is null ? new Uri(error.Address ?? endpoint.Address, "v2/") : AddressOf(request, Address);
            throw new RegistryException(RegistryErrorKind.Unavailable, InRequest(_settled is null ? HttpMethod.Get : request.Method, address, error.Message), error);
        }
    }

    public void Dispose() => authenticator.Dispose();

    /// <summary>Dockerd's form: <c>Get "https://host/v2/": reason</c>. Without the query: it can hold a signature.</summary>
    public static string InRequest(HttpMethod method, Uri address, string reason) =>
        $"{method.Method[0]}{method.Method[1..].ToLowerInvariant()} \"{address.GetLeftPart(UriPartial.Path)}\": {reason}";

    private async Task<HttpResponseMessage> SettleAsync(RegistryRequest request, CancellationToken cancellationToken)
    {
        if (_settled is { } known)
        {
            return await AuthenticateAsync(request, known, cancellationToken).ConfigureAwait(false);
        }

        await directory.LearnAsync(endpoint.Address, cancellationToken).ConfigureAwait(false);
        var addresses = directory.AddressesOf(endpoint);
        for (var i = 0; ; i++)
        {
            try
            {
                var answer = await AuthenticateAsync(request, addresses[i], cancellationToken).ConfigureAwait(false);
                _settled = addresses[i];
                directory.Remember(endpoint, addresses[i]);
                return answer;
            }
            catch (ConnectionException) when (i < addresses.Count - 1)
            {
                // An insecure registry that does not speak TLS may speak plain HTTP.
            }
            catch (ConnectionException error)
            {
                error.Address = addresses[i];
                throw;
            }
        }
    }

    private async Task<HttpResponseMessage> AuthenticateAsync(RegistryRequest request, Uri registry, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> wanted = [.. scopes, .. request.Scopes];
        var address = AddressOf(request, registry);
        try
        {
            var authorization = await authenticator.PrepareAsync(registry, wanted, cancellationToken).ConfigureAwait(false);
            var answer = await FollowAsync(request, registry, authorization, cancellationToken).ConfigureAwait(false);
            if (answer.StatusCode != HttpStatusCode.Unauthorized || !IsSameOrigin(answer.RequestMessage!.RequestUri!, registry))
            {
                return answer;
            }

            // A registry that answered is known to speak, also where the token is not to be had.
            _settled = registry;
            AuthenticationHeaderValue? better;
            try
            {
                better = await authenticator.AnswerAsync(answer.Headers, registry, wanted, authorization, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                answer.Dispose();
                throw;
            }

            if (better is null)
            {
                return answer;
            }

            answer.Dispose();
            return await FollowAsync(request, registry, better, cancellationToken).ConfigureAwait(false);
        }
        catch (RegistryException error) when (access == RegistryAccess.Pull && error.Kind is RegistryErrorKind.Unauthorized or RegistryErrorKind.Denied)
        {
            // As dockerd says it: with the request in a pull, without it in a push.
            throw new RegistryException(error.Kind, InRequest(request.Method, address, error.Message), error);
        }
    }

    /// <summary>Sends a request where it leads. Credentials go to the registry's own origin only, and nothing goes from TLS to plain HTTP.</summary>
    private async Task<HttpResponseMessage> FollowAsync(RegistryRequest request, Uri registry, AuthenticationHeaderValue? authorization, CancellationToken cancellationToken)
    {
        var address = AddressOf(request, registry);
        CheckScheme(registry, registry, address);
        for (var redirects = 0; ; redirects++)
        {
            using var message = new HttpRequestMessage(request.Method, address);
            request.Headers?.Invoke(message.Headers);
            message.Headers.Authorization = IsSameOrigin(address, registry) ? authorization : null;
            message.Content = request.Content?.Invoke();
            var answer = await sender.SendAsync(message, cancellationToken).ConfigureAwait(false);
            if (!IsRedirect(answer.StatusCode) || (request.Method != HttpMethod.Get && request.Method != HttpMethod.Head))
            {
                return answer;
            }

            using (answer)
            {
                if (redirects == MostRedirects)
                {
                    throw new RegistryException(RegistryErrorKind.Invalid, InRequest(request.Method, AddressOf(request, registry), $"stopped after {MostRedirects} redirects"));
                }

                var from = address;
                address = answer.Headers.Location is { } location && Uri.TryCreate(address, location, out var next) && next.Scheme is "http" or "https" && next.UserInfo.Length == 0
                    ? next
                    : throw new RegistryException(RegistryErrorKind.Invalid, InRequest(request.Method, address, "redirected to no valid address"));
                CheckScheme(registry, from, address);
            }
        }
    }

    private static void CheckScheme(Uri registry, Uri from, Uri address)
    {
        if (from.Scheme == Uri.UriSchemeHttps && address.Scheme != Uri.UriSchemeHttps)
        {
            throw new RegistryException(
                RegistryErrorKind.Refused, $"registry {registry.Authority} leads to {address.Scheme}://{address.Authority}, which is not encrypted: refused");
        }
    }

    private static bool IsRedirect(HttpStatusCode status) => status is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther
        or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;

    public static bool IsSameOrigin(Uri one, Uri other) => one.Scheme == other.Scheme && one.Authority.Equals(other.Authority, StringComparison.OrdinalIgnoreCase);

    private static Uri AddressOf(RegistryRequest request, Uri registry) => request.Address ?? new Uri(registry, request.Path);
}
