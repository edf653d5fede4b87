using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Slipway.Engine.Cluster.Keys;
using Slipway.Registry.Peers;

namespace Slipway.Engine.Cluster.Links;

/// <summary>Takes what other members say: <c>POST /cluster/v1/push</c> and <c>/cluster/v1/keys</c>, and nothing else.</summary>
internal static class ClusterServer
{
    public const string PushPath = "/cluster/v1/push";
    public const string KeyPath = "/cluster/v1/keys";

    /// <summary>Bytes of a message.</summary>
    public const int MaxMessage = 8 * 1024 * 1024;

    /// <param name="member">Gets the messages of members whose certificates were checked.</param>
    /// <exception cref="EngineException">InvalidParameter: the certificates cannot be read, or the address cannot be listened on.</exception>
    public static async Task<PeerServer> StartAsync(ClusterConfiguration configuration, IClusterMember member, IEngineLog log, CancellationToken cancellationToken)
    {
        try
        {
            return await PeerServer.StartAsync(configuration.Listen, configuration.Tls, MaxMessage, (context, certificate) => AnswerAsync(context, certificate, member, log), cancellationToken);
        }
        catch (Exception error) when (error is FormatException or Registry.Server.RegistryConfigurationException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"cluster: {error.Message}", error);
        }
    }

    private static async Task AnswerAsync(HttpContext context, X509Certificate2 certificate, IClusterMember member, IEngineLog log)
    {
        if (context.Request.Path.Value is not (PushPath or KeyPath) || !HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        try
        {
            byte[] answer = context.Request.Path == PushPath
                ? await AnswerAsync(context, certificate, ClusterJson.Default.Push, push => push.From, member.ReceiveAsync, ClusterJson.Default.PushAnswer)
                : await AnswerAsync(context, certificate, ClusterJson.Default.KeyRequest, request => request.From, member.ReceiveAsync, ClusterJson.Default.KeyAnswer);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = answer.Length;
            await context.Response.Body.WriteAsync(answer, context.RequestAborted);
        }
        catch (Exception error) when (error is JsonException or ClusterProtocolException or ArgumentException)
        {
            log.Write(EngineLogLevel.Warning, $"cluster: a message from {context.Connection.RemoteIpAddress} is refused: {error.Message}");
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
        }
        catch (EngineException error)
        {
            log.Write(EngineLogLevel.Warning, $"cluster: a message from {context.Connection.RemoteIpAddress} is not answered: {error.Message}");
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        }
    }

    private static async Task<byte[]> AnswerAsync<TMessage, TAnswer>(
        HttpContext context,
        X509Certificate2 certificate,
        JsonTypeInfo<TMessage> messageType,
        Func<TMessage, string> from,
        Func<TMessage, CancellationToken, Task<TAnswer>> receive,
        JsonTypeInfo<TAnswer> answerType)
    {
        TMessage message = await JsonSerializer.DeserializeAsync(context.Request.Body, messageType, context.RequestAborted) ?? throw new ClusterProtocolException("no message");

        // Any member's certificate opens the connection; it speaks for the member whose address it is for.
        if (!certificate.MatchesHostname(from(message), allowWildcards: false, allowCommonName: false))
        {
            throw new ClusterProtocolException($"the certificate of {certificate.Subject} is not for {from(message)}");
        }

        return JsonSerializer.SerializeToUtf8Bytes(await receive(message, context.RequestAborted), answerType);
    }
}

/// <summary>Who is spoken to.</summary>
internal interface IClusterMember
{
    /// <exception cref="ClusterProtocolException">Nobody of the cluster would say this.</exception>
    Task<PushAnswer> ReceiveAsync(Push push, CancellationToken cancellationToken);

    /// <exception cref="ClusterProtocolException">Nobody of the cluster would say this.</exception>
    /// <exception cref="EngineException">System: the kernel refuses.</exception>
    Task<KeyAnswer> ReceiveAsync(KeyRequest request, CancellationToken cancellationToken);
}
