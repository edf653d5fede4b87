using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Access;

/// <summary>Bearer tokens (RFC 6750; Docker Registry v2 authentication): a token says itself what it allows.</summary>
internal sealed class TokenAccess(TokenConfiguration configuration, IReadOnlyList<AsymmetricAlgorithm> keys, AccessPolicy? policy, TimeProvider time) : IAccessControl
{
    /// <summary>Seconds that clocks may differ by.</summary>
    private const long ClockSkew = 60;

    private readonly Caller _nobody = new(null, _ => Rights.None, MayAdminister: false);

    public bool AdmitsAnonymous(RegistryResource resource) => false;

    public ValueTask<Caller?> IdentifyAsync(HttpContext context, CancellationToken cancellationToken)
    {
        const string Scheme = "Bearer ";
        string header = context.Request.Headers.Authorization.ToString();
        return ValueTask.FromResult(header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? Identify(header[Scheme.Length..].Trim()) : _nobody);
    }

    public string? Challenge(HttpContext context, AccessRequest access)
    {
        string realm = configuration.Realm ?? $"{context.Request.Scheme}://{context.Request.Host}{TokenPage.Path}";
        string scope = access.Repository is null && access.Rights == Rights.None && !context.Request.Path.StartsWithSegments("/v2/_catalog", StringComparison.Ordinal)
            ? "" : $",scope=\"{access.Scope}\"";
        string error = context.Request.Headers.Authorization.Count > 0 ? $",error=\"{(access.Repository is null ? "invalid_token" : "insufficient_scope")}\"" : "";
        return $"Bearer realm=\"{realm}\",service=\"{configuration.Service}\"{scope}{error}";
    }

    private Caller? Identify(string token)
    {
        long now = time.GetUtcNow().ToUnixTimeSeconds();
        if (Jwt.Verify(token, keys) is not { } claims
            || claims.Issuer != configuration.Issuer
            || claims.Audience is not { } audience || !audience.Contains(configuration.Service)
            || claims.Expires + ClockSkew <= now || claims.NotBefore - ClockSkew > now)
        {
            return null;
        }

        Dictionary<string, Rights> grants = new(StringComparer.Ordinal);
        bool catalog = false;
        foreach (TokenGrant grant in claims.Access ?? [])
        {
            if (grant is { Type: "repository", Name: { } name })
            {
                grants[name] = (grant.Actions ?? []).Aggregate(grants.GetValueOrDefault(name), (rights, action) => rights | RightsText.Parse(action));
            }

            catalog |= grant is { Type: "registry", Name: "catalog" };
        }

        bool administers = policy is not null ? claims.Subject is { Length: > 0 } user && policy.MayAdminister(user) : catalog;
        return new Caller(claims.Subject is { Length: > 0 } subject ? subject : AccessPolicy.Anonymous, repository => grants.GetValueOrDefault(repository.ToString()), administers);
    }
}
