using System.Security.Cryptography;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Access;

/// <summary>The access control that a configuration asks for, with what it needs to be served and disposed.</summary>
internal sealed class AccessControl : IDisposable
{
    private readonly PasswordVerifier? _passwords;

    private AccessControl(IAccessControl requests, IAccessControl pages, IReadOnlyList<IPage> ownPages, PasswordVerifier? passwords) =>
        (Requests, Pages, OwnPages, _passwords) = (requests, pages, ownPages, passwords);

    /// <summary>For the API.</summary>
    public IAccessControl Requests { get; }

    /// <summary>For what people look at with a browser, which has no tokens.</summary>
    public IAccessControl Pages { get; }

    public IReadOnlyList<IPage> OwnPages { get; }

    /// <exception cref="RegistryConfigurationException">It contradicts itself, or a file of it cannot be used.</exception>
    public static AccessControl Create(AuthConfiguration? configuration, string root, TimeProvider time)
    {
        if (configuration is null)
        {
            OpenAccess open = new();
            return new AccessControl(open, open, [], null);
        }

        AccessPolicy policy = new(configuration);
        PasswordVerifier? passwords = configuration.Htpasswd is { } file ? new PasswordVerifier(new UserFile(file, time), time) : null;
        BasicAccess? basic = passwords is null ? null : new BasicAccess(passwords, policy, configuration.Realm);
        if (configuration.Token is not { } token)
        {
            return basic is null
                ? throw new RegistryConfigurationException("auth: neither users (htpasswd) nor token")
                : new AccessControl(basic, basic, [], passwords);
        }

        List<AsymmetricAlgorithm> keys = [.. TokenKeys.Load(token.TrustedKeys)];
        List<IPage> pages = [];
        if (token.Realm is null)
        {
            ECDsa own = TokenKeys.OwnKey(root);
            keys.Add(own);
            pages.Add(new TokenPage(token, own, passwords ?? throw new RegistryConfigurationException("auth.token: without a realm it needs users (htpasswd)"), policy, time));
        }
        else if (keys.Count == 0)
        {
            throw new RegistryConfigurationException("auth.token: a realm needs trustedKeys");
        }

        TokenAccess access = new(token, keys, token.Realm is null ? policy : null, time);
        return new AccessControl(access, (IAccessControl?)basic ?? access, pages, passwords);
    }

    public void Dispose() => _passwords?.Dispose();
}
