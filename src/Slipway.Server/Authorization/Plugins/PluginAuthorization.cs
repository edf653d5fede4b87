using System.Buffers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Slipway.Engine;
using Slipway.Server.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.Authorization.Plugins;

/// <summary>One request before the plugins: first as it came, then with the answer it is to get.</summary>
/// <remarks>
/// What a plugin sees is what is executed: the body whole and the very bytes that are parsed afterwards, in Docker's spelling (<see cref="JsonSpelling"/>); the path
/// as it was routed, not as it was written. A body that is too long to be shown is refused (CVE-2024-41110, CVE-2026-34040).
/// </remarks>
internal sealed class PluginAuthorization
{
    private const string CommonName = "2.5.4.3";

    /// <summary>Bodies that are archives, of any length: as in Docker they are not shown, and nothing is decided on them. By what comes in their stead in the path.</summary>
    private static readonly HashSet<(string Method, string Path)> s_uploads =
    [
        ("PUT", "/containers/{id}/archive"), ("POST", "/images/load"), ("POST", "/images/create"), ("POST", "/build"),
    ];

    /// <summary>The body of this one is a password, which Docker shows to nobody.</summary>
    private const string Login = "/auth";

    private static readonly HashSet<string> s_secretHeaders = new(StringComparer.OrdinalIgnoreCase) { "Authorization", "X-Registry-Auth", "X-Registry-Config" };

    private readonly IReadOnlyList<AuthorizationPlugin> _plugins;
    private readonly HttpContext _http;
    private readonly PluginQuestion _question;

    private PluginAuthorization(IReadOnlyList<AuthorizationPlugin> plugins, HttpContext http, PluginQuestion question) => (_plugins, _http, _question) = (plugins, http, question);

    /// <summary>Shows the request to all plugins, and takes care that they see its answer.</summary>
    /// <returns>Null where there are no plugins.</returns>
    /// <exception cref="EngineException">Forbidden: one denies. System: one does not say that it allows.</exception>
    /// <exception cref="BadHttpRequestException">413: the body is too long to be shown.</exception>
    public static async Task<PluginAuthorization?> BeginAsync(AuthorizationPlugins? all, HttpContext http, Route route)
    {
        if (all?.Current is not { Count: > 0 } plugins)
        {
            return null;
        }

        HttpRequest request = http.Request;
        byte[]? body = null;
        if (!IsUpload(route) && route.Path != Login && JsonBody.HasBody(request))
        {
            ReadOnlySequence<byte> whole = await JsonBody.ReadWholeAsync(request, http.RequestAborted);
            body = whole.ToArray();
            request.BodyReader.AdvanceTo(whole.End);

            // What was shown is what the endpoint reads.
            request.Body = new MemoryStream(body, writable: false);
        }

        X509Certificate2? certificate = http.Features.Get<ClientCertificate>()?.Certificate;
        PluginQuestion question = new()
        {
            User = certificate is null ? null : NameOf(certificate),
            UserAuthNMethod = certificate is null ? null : "TLS",
            RequestMethod = request.Method,
            RequestUri = new PathString(EngineApplication.DecodedPath(request)).ToUriComponent() + request.QueryString.ToUriComponent(),
            RequestBody = body is { Length: > 0 } ? body : null,
            RequestHeaders = Headers(request.Headers),
            RequestPeerCertificates = certificate is null ? null : [Encoding.ASCII.GetBytes(certificate.ExportCertificatePem() + "\n")],
        };
        PluginAuthorization authorization = new(plugins, http, question);
        await authorization.AskAsync("AuthZPlugin.AuthZReq", question);
        GuardedAnswer answer = new(authorization, http);
        http.Features.Set(answer);
        http.Features.Set<IHttpResponseBodyFeature>(answer);
        return authorization;
    }

    /// <summary>Whether a route's body is an archive.</summary>
    internal static bool IsUpload(Route route) => s_uploads.Contains((route.Method, route.Path));

    internal static IEnumerable<(string Method, string Path)> Uploads => s_uploads;

    /// <summary>Shows the answer to all plugins, before any of it is sent.</summary>
    /// <param name="body">Null where there is none, or it cannot be shown whole.</param>
    /// <exception cref="EngineException">As of <see cref="BeginAsync"/>.</exception>
    public Task AdmitAnswerAsync(int status, byte[]? body) => AskAsync(
        "AuthZPlugin.AuthZRes",
        _question with { ResponseStatusCode = status, ResponseHeaders = Headers(_http.Response.Headers), ResponseBody = body is { Length: > 0 } ? body : null });

    private async Task AskAsync(string method, PluginQuestion question)
    {
        byte[] call = JsonSerializer.SerializeToUtf8Bytes(question, PluginAuthorizationJson.Default.PluginQuestion);
        foreach (AuthorizationPlugin plugin in _plugins)
        {
            await plugin.AdmitAsync(method, call, _http.RequestAborted);
        }
    }

    /// <summary>Of several headers of a name the last, as Docker tells them.</summary>
    private static Dictionary<string, string> Headers(IHeaderDictionary headers) =>
        headers.Where(header => !s_secretHeaders.Contains(header.Key) && header.Value.Count > 0).ToDictionary(header => header.Key, header => header.Value[^1] ?? "", StringComparer.OrdinalIgnoreCase);

    /// <summary>Of several common names the last, as Go reads them; names of several parts at once are none.</summary>
    private static string NameOf(X509Certificate2 certificate) => certificate.SubjectName.EnumerateRelativeDistinguishedNames(reversed: false)
        .LastOrDefault(name => !name.HasMultipleElements && name.GetSingleElementType().Value == CommonName)?.GetSingleElementValue() ?? "";
}
