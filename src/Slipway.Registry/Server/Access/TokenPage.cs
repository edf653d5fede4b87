using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Access;

internal sealed record TokenAnswer(
    [property: JsonPropertyName("token")] string Token,
    [property: JsonPropertyName("access_token")] string AccessToken,
    [property: JsonPropertyName("expires_in")] int ExpiresIn,
    [property: JsonPropertyName("issued_at")] string IssuedAt);

/// <summary>
/// <c>/token</c>: gives tokens to the users of the htpasswd file (Docker Registry v2 authentication). Of what is asked for, the token
/// holds what the rules allow; a client learns from the registry's refusal what it lacks.
/// </summary>
internal sealed class TokenPage(TokenConfiguration configuration, ECDsa key, PasswordVerifier passwords, AccessPolicy policy, TimeProvider time) : IPage
{
    public const string Path = "/token";

    private const int MaximumScopes = 64;

    private readonly TimeSpan _lifetime = Duration.Parse(configuration.Lifetime, "auth.token.lifetime");

    public bool Matches(string method, string path) => path == Path && HttpMethods.IsGet(method);

    public bool IsPublic => true;

    public bool Admits(Caller caller, string path) => true;

    public async Task AnswerAsync(HttpContext context, string path, Caller? caller)
    {
        string? user = null;
        string header = context.Request.Headers.Authorization.ToString();
        if (header.Length > 0)
        {
            if (BasicAccess.Parse(header) is not var (name, password) || !await passwords.VerifyAsync(name, password, context.RequestAborted))
            {
                throw RegistryError.Unauthorized("incorrect username or password");
            }

            user = name;
        }

        string service = context.Request.Query["service"].ToString();
        if (service.Length > 0 && service != configuration.Service)
        {
            throw new RegistryError(StatusCodes.Status400BadRequest, "UNSUPPORTED", "the service is another one");
        }

        DateTimeOffset now = time.GetUtcNow();
        TokenClaims claims = new()
        {
            Issuer = configuration.Issuer,
            Subject = user ?? "",
            Audience = [configuration.Service],
            Expires = now.Add(_lifetime).ToUnixTimeSeconds(),
            NotBefore = now.ToUnixTimeSeconds(),
            IssuedAt = now.ToUnixTimeSeconds(),
            Id = Guid.NewGuid().ToString("N"),
            Access = [.. Scopes(context).Take(MaximumScopes).Select(scope => Grant(user, scope)).OfType<TokenGrant>()],
        };
        string token = Jwt.Sign(claims, key);
        context.Response.Headers.CacheControl = "no-store";
        await JsonAnswer.WriteAsync(
            context.Response,
            new TokenAnswer(token, token, (int)_lifetime.TotalSeconds, now.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)),
            AccessJson.Default.TokenAnswer,
            context.RequestAborted);
    }

    /// <summary>Several parameters, or several scopes in one.</summary>
    private static IEnumerable<string> Scopes(HttpContext context) =>
        context.Request.Query["scope"].OfType<string>().SelectMany(value => value.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary><c>repository:NAME:ACTION,…</c>; <c>registry:catalog:*</c>. Null where nothing is granted.</summary>
    private TokenGrant? Grant(string? user, string scope)
    {
        int first = scope.IndexOf(':', StringComparison.Ordinal);
        int last = scope.LastIndexOf(':');
        if (first < 0 || last <= first)
        {
            return null;
        }

        (string type, string name) = (scope[..first], scope[(first + 1)..last]);
        if (type == "registry" && name == "catalog")
        {
            return user is not null && policy.MayAdminister(user) ? new TokenGrant(type, name, ["*"]) : null;
        }

        if (type != "repository" || !RepositoryName.TryParse(name, out RepositoryName repository))
        {
            return null;
        }

        Rights wanted = scope[(last + 1)..].Split(',').Aggregate(Rights.None, (rights, action) => rights | RightsText.Parse(action));
        Rights granted = wanted & policy.Grants(user, repository);
        return granted == Rights.None ? null : new TokenGrant(type, name, RightsText.Format(granted).Split(','));
    }
}
