using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Access;

/// <summary>User and password with each request (RFC 7617), and the rules of the configuration.</summary>
internal sealed class BasicAccess(PasswordVerifier passwords, AccessPolicy policy, string realm) : IAccessControl
{
    private readonly Caller _nobody = new(null, repository => policy.Grants(null, repository), MayAdminister: false);
    private readonly string _challenge = $"Basic realm=\"{realm.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\", charset=\"UTF-8\"";

    public bool AdmitsAnonymous(RegistryResource resource) => resource == RegistryResource.Catalog && policy.AdmitsAnonymous;

    public async ValueTask<Caller?> IdentifyAsync(HttpContext context, CancellationToken cancellationToken)
    {
        string header = context.Request.Headers.Authorization.ToString();
        if (header.Length == 0)
        {
            return _nobody;
        }

        return Parse(header) is var (user, password) && await passwords.VerifyAsync(user, password, cancellationToken)
            ? new Caller(user, repository => policy.Grants(user, repository), policy.MayAdminister(user))
            : null;
    }

    public string? Challenge(HttpContext context, AccessRequest access) => _challenge;

    /// <returns>Null where it is no Basic credential.</returns>
    public static (string User, string Password)? Parse(string header)
    {
        const string Scheme = "Basic ";
        if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        byte[] decoded = new byte[header.Length];
        if (!Convert.TryFromBase64String(header[Scheme.Length..].Trim(), decoded, out int length))
        {
            return null;
        }

        string text = Encoding.UTF8.GetString(decoded, 0, length);
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? null : (text[..colon], text[(colon + 1)..]);
    }
}
