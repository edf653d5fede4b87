using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using Slipway.Server.Http;

namespace Slipway.Server;

/// <summary>
/// The first request pays for loading and preparing the code on its way, some tens of milliseconds. Here the server pays, right after it
/// began to listen: it sends itself the requests of a <c>docker run</c>, for an image and a container that cannot be.
/// </summary>
internal static partial class WarmUp
{
    /// <summary>No image has this digest, so nothing is made; the body has what the CLI's has, to prepare its reading.</summary>
    private const string Create =
        """
        {"Hostname":"","User":"","AttachStdout":true,"Tty":false,"Env":["A=1"],"Cmd":["true"],
         "Image":"warm-up@sha256:0000000000000000000000000000000000000000000000000000000000000000",
         "Volumes":{},"Entrypoint":null,"Labels":{"a":"b"},"HostConfig":{"Binds":null,"NetworkMode":"default","PortBindings":{},
         "RestartPolicy":{"Name":"no","MaximumRetryCount":0},"LogConfig":{"Type":"","Config":{}},"AutoRemove":true,"ConsoleSize":[0,0]},
         "NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null}}}}
        """;

    /// <summary>A name no container can have.</summary>
    private const string Nobody = "-";

    public static async Task RunAsync(EndPoint endPoint, ILogger log, CancellationToken cancellationToken)
    {
        try
        {
            using Socket socket = endPoint.AddressFamily == AddressFamily.Unix
                ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
                : new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(endPoint, cancellationToken);
            foreach (byte[] request in Requests())
            {
                await socket.SendAsync(request, cancellationToken);
            }

            byte[] answers = new byte[4096];
            while (await socket.ReceiveAsync(answers, cancellationToken) > 0)
            {
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            LogAbandoned(log, e);
        }
    }

    private static IEnumerable<byte[]> Requests()
    {
        yield return Request("HEAD", "/_ping");
        yield return Request("GET", "/containers/json?limit=1&filters=%7B%22name%22%3A%5B%22-%22%5D%7D");
        yield return Request("POST", "/containers/create", Create);
        yield return Request("POST", $"/containers/{Nobody}/attach?stream=1&stdout=1");
        yield return Request("POST", $"/containers/{Nobody}/wait?condition=removed");
        yield return Request("POST", $"/containers/{Nobody}/start");
        yield return Request("POST", $"/containers/{Nobody}/exec", """{"Cmd":["true"]}""");
        yield return Request("POST", $"/exec/{Nobody}/start", "{}");
        yield return Request("GET", "/events?until=1", last: true);
    }

    private static byte[] Request(string method, string path, string? body = null, bool last = false) => Encoding.ASCII.GetBytes(
        $"{method} /v{ApiVersion.Max}{path} HTTP/1.1\r\nHost: slipway\r\nUser-Agent: slipway-warm-up\r\n"
        + (last ? "Connection: close\r\n" : "")
        + (body is null ? "Content-Length: 0\r\n\r\n" : $"Content-Type: {JsonBody.ContentType}\r\nContent-Length: {body.Length}\r\n\r\n{body}"));

    [LoggerMessage(10, LogLevel.Debug, "the server could not send itself requests")]
    private static partial void LogAbandoned(ILogger log, Exception error);
}
