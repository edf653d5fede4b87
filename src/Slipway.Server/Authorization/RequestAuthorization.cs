using Microsoft.AspNetCore.Http;
using Slipway.Api.Disk;
using Slipway.Engine;
using Slipway.Server.Auditing;
using Slipway.Server.Authorization.Plugins;
using Slipway.Server.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.Authorization;

/// <summary>
/// Whether a request may be executed, decided in two steps: by its route, the object that it names and the plugins; and by its body once that is parsed.
/// </summary>
internal sealed class RequestAuthorization
{
    private readonly IEngine _engine;
    private readonly AuditLog? _audit;
    private readonly HttpContext _http;
    private readonly Route _route;
    private readonly ClientOrigin _origin;
    private readonly SocketPolicy? _policy;
    private PluginAuthorization? _plugins;
    private bool _told;

    private RequestAuthorization(IEngine engine, AuditLog? audit, HttpContext http, Route route, string parameter)
    {
        (_engine, _audit, _http, _route, Parameter) = (engine, audit, http, route, parameter);
        _origin = http.Features.Get<IRawConnection>()?.Origin ?? throw new InvalidOperationException("a request came over no socket of the server's");
        _policy = _origin.Policy;
    }

    /// <summary>What stands in the path for the route's parameter; where it was looked up, the id of the object that was found.</summary>
    public string Parameter { get; private set; }

    /// <summary>The volume that the path names, as it was judged; null where none was.</summary>
    public Volume? Volume { get; private set; }

    /// <summary>Plugins have decided on the text of the request.</summary>
    public bool IsShown => _plugins is not null;

    /// <summary>The first step.</summary>
    /// <exception cref="EngineException">Forbidden; NotFound where the object named does not exist; System where a plugin has not decided.</exception>
    public static async Task<RequestAuthorization> BeginAsync(IEngine engine, AuditLog? audit, AuthorizationPlugins? plugins, HttpContext http, Route route, string parameter)
    {
        RequestAuthorization authorization = new(engine, audit, http, route, parameter);
        authorization.AdmitRoute();
        try
        {
            authorization._plugins = await PluginAuthorization.BeginAsync(plugins, http, route);
        }
        catch (EngineException exception)
        {
            authorization.Tell(AuditEntry.Deny, exception.Message, body: null);
            throw;
        }

        // What will have a body is told of when that was looked at.
        if (!JsonBody.IsExpected(http.Request))
        {
            authorization.End();
        }

        return authorization;
    }

    /// <summary>The second step, for requests that have a body of JSON.</summary>
    /// <param name="body">What the endpoint will act on; it may be given labels here.</param>
    /// <exception cref="EngineException">Forbidden.</exception>
    public void AdmitBody(object? body)
    {
        if (_policy is not null)
        {
            if (new ObjectScope(_engine, _policy).Admit(_route.Verb, body) is { } outside)
            {
                throw Refuse(outside, body);
            }

            if (body is not null && Options(body).FirstOrDefault(option => !_policy.AllowsOption(option)) is { } option)
            {
                throw Refuse($"the option {option} is not allowed", body);
            }
        }

        Tell(AuditEntry.Allow, reason: null, body);
    }

    /// <summary>Records what was allowed and has not been told of: a request whose body was never looked at.</summary>
    public void End() => Tell(AuditEntry.Allow, reason: null, body: null);

    private void AdmitRoute()
    {
        if (_policy is not null)
        {
            if (!_policy.AllowsVerb(_route.Verb))
            {
                throw Refuse($"the operation {_route.Verb} is not allowed", body: null);
            }

            if (_policy.Labels.Count > 0)
            {
                ObjectScope scope = new(_engine, _policy);
                (Parameter, string? refusal) = scope.Enter(_http, _route, Parameter);
                Volume = scope.Volume;
                if (refusal is not null)
                {
                    throw Refuse(refusal, body: null);
                }
            }
        }
    }

    private IEnumerable<string> Options(object body) => body is Api.Containers.ContainerCreateRequest { HostConfig: { } host }
        ? PrivilegedOptions.Of(body).Concat(PrivilegedOptions.Inherited(host, reference => _engine.Containers.Inspect(reference, size: false)))
        : PrivilegedOptions.Of(body);

    private EngineException Refuse(string reason, object? body)
    {
        Tell(AuditEntry.Deny, reason, body);
        return new EngineException(ErrorKind.Forbidden, $"refused by the policy of {_origin.Listener}: {reason}");
    }

    private void Tell(string decision, string? reason, object? body)
    {
        if (_told || _audit is null)
        {
            return;
        }

        _told = true;
        AuditEntry entry = AuditEntry.Of(_origin, _route, Parameter, _http.Request, body) with { Decision = decision, Reason = reason };
        if (!_audit.Write(entry) && decision == AuditEntry.Allow && _policy is not null)
        {
            throw new EngineException(ErrorKind.Unavailable, "the audit log cannot be written, so nothing is allowed at this socket");
        }
    }
}
