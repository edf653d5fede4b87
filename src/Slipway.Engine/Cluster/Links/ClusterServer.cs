using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Peers;

namespace Slipway.Engine.Cluster.Links;

/// <summary>Takes what other members say: <c>POST /cluster/v1/push</c>, and nothing else.</summary>
internal static class ClusterServer
{
    public const string PushPath = "/cluster/v1/push";

    /// <summary>Bytes of a message.</summary>
    public const int MaxMessage = 8 * 1024 * 1024;

    /// <param name="receive">Takes a message of a member whose certificate was checked.</param>
    /// <exception cref="EngineException">InvalidParameter: the certificates cannot be read, or the address cannot be listened on.</exception>
    public static async Task<PeerServer> StartAsync(
        ClusterConfiguration configuration, Func<Push, CancellationToken, Task<PushAnswer>> receive, IEngineLog log, CancellationToken cancellationToken)
    {
        try
        {
            return await PeerServer.StartAsync(configuration.Listen, configuration.Tls, MaxMessage, (context, certificate) => AnswerAsync(context, certificate, receive, log), cancellationToken);
        }
        catch (Exception error) when (error is FormatException or Registry.Server.RegistryConfigurationException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"cluster: {error.Message}", error);
        }
    }

    private static async Task AnswerAsync(HttpContext context, X509Certificate2 certificate, Func<Push, CancellationToken, Task<PushAnswer>> receive, IEngineLog log)
    {
        if (context.Request.Path != PushPath || !HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        try
        {
            Push push = await JsonSerializer.DeserializeAsync(context.Request.Body, ClusterJson.Default.Push, context.RequestAborted) ?? throw new ClusterProtocolException("no message");

            // Any member's certificate opens the connection; it speaks for the member whose address it is for.
            if (!certificate.MatchesHostname(push.From, allowWildcards: false, allowCommonName: false))
            {
                throw new ClusterProtocolException($"the certificate of {certificate.Subject} is not for {push.From}");
            }

            byte[] answer = JsonSerializer.SerializeToUtf8Bytes(await receive(push, context.RequestAborted), ClusterJson.Default.PushAnswer);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = answer.Length;
            await context.Response.Body.WriteAsync(answer, context.RequestAborted);
        }
        catch (Exception error) when (error is JsonException or ClusterProtocolException or ArgumentException)
        {
            log.Write(EngineLogLevel.Warning, $"cluster: a message from {context.Connection.RemoteIpAddress} is refused: {error.Message}");
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
        }
    }
}
