using System.IO.Pipelines;
using System.Runtime.InteropServices;

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

    /// <summary>Whether what the HTTP server sends and receives is what goes over the socket: no TLS between.</summary>
    bool IsPlain { get; }

    /// <summary>What was sent lies in the kernel: a client of this host has not read it yet. Of other clients that is not known, and it is false.</summary>
    bool IsUnread { get; }

    /// <summary>The socket, for who has borrowed a direction of it.</summary>
    SafeHandle Handle { get; }

    /// <summary>Lends what comes in to one who reads a request's body from the socket, before the HTTP server has read any of it.</summary>
    /// <returns>Null where nothing comes in any more, or not as it is; else with what was received already.</returns>
    Task<(SocketLoan Loan, ReadOnlyMemory<byte> Received)?> TryBorrowInputAsync();

    /// <summary>Lends the way out to one who writes an answer's body to the socket, once all that was flushed before has been sent.</summary>
    /// <returns>Null where nothing can be sent.</returns>
    Task<SocketLoan?> TryBorrowOutputAsync();

    /// <summary>The socket was found broken by who had borrowed it.</summary>
    void Fail();
}
