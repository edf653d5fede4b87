using System.IO.Pipelines;

namespace Slipway.Server.Transport;

/// <summary>The connection below HTTP, as a feature of each request.</summary>
internal interface IRawConnection
{
    ClientOrigin Origin { get; }

    /// <summary>
    /// Takes the connection over from the HTTP server, once the request was read and nothing was answered. What is
    /// written is sent as it is; completing the output half-closes. After this the request has to be aborted when it is done.
    /// </summary>
    IDuplexPipe Hijack();

    /// <summary>
    /// The client closed its side. For an ordinary request this means that nobody waits for the answer; on a hijacked
    /// connection it is the end of the client's stream and no more.
    /// </summary>
    CancellationToken InputEnded { get; }

    /// <summary>Nothing can be sent any more: the client is gone. Beyond the end of input it is found out by trying to send.</summary>
    CancellationToken Closed { get; }
}
