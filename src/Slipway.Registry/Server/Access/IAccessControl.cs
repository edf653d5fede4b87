using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Access;

/// <summary>Finds out who makes a request.</summary>
internal interface IAccessControl
{
    /// <returns>Null where credentials were given that are not valid.</returns>
    ValueTask<Caller?> IdentifyAsync(HttpContext context, CancellationToken cancellationToken);

    /// <summary>The WWW-Authenticate header that tells a client how to say who it is; null where nobody could.</summary>
    string? Challenge(HttpContext context, AccessRequest access);

    /// <summary>
    /// Whether a client that has not said who it is may see what belongs to no repository. <c>docker login</c> asks for <c>/v2/</c> and takes
    /// 200 for "logged in", whatever was typed: where there are users it is refused.
    /// </summary>
    bool AdmitsAnonymous(RegistryResource resource);
}

/// <summary>No authentication is configured: everybody may do everything, and administer from the machine itself.</summary>
internal sealed class OpenAccess : IAccessControl
{
    private static readonly Caller s_anyone = new(null, _ => Rights.All, MayAdminister: false);
    private static readonly Caller s_local = new(null, _ => Rights.All, MayAdminister: true);

    public bool AdmitsAnonymous(RegistryResource resource) => true;

    public ValueTask<Caller?> IdentifyAsync(HttpContext context, CancellationToken cancellationToken) =>
        ValueTask.FromResult<Caller?>(context.Connection.RemoteIpAddress is { } address && System.Net.IPAddress.IsLoopback(address) ? s_local : s_anyone);

    public string? Challenge(HttpContext context, AccessRequest access) => null;
}
