using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Sockets;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers.Streams;

/// <summary>A socket pair between a client and the supervisor: the bytes of a process do not pass through the engine's own buffers.</summary>
/// <param name="Local">The client's end.</param>
/// <param name="Far">The supervisor's end.</param>
internal sealed record StreamEnds(Socket Local, Attachment Far)
{
    public static StreamEnds Create(bool stdin, bool stdout, bool stderr)
    {
        (SafeFileHandle near, SafeFileHandle far) = StreamSocket.CreatePair();

        // The socket takes the descriptor over.
        Socket local = new(new SafeSocketHandle(near.DangerousGetHandle(), ownsHandle: true));
        near.SetHandleAsInvalid();
        return new StreamEnds(local, new Attachment(far, stdin, stdout, stderr));
    }

    /// <param name="terminal">Output is raw.</param>
    /// <param name="past">What was logged before, or null.</param>
    /// <param name="ended">The end of the stream is reported after it, or null.</param>
    public StreamSession Session(bool terminal, IAsyncEnumerable<ReadOnlyMemory<byte>>? past, Task? ended, Action? disposed)
    {
        NetworkStream network = new(Local, ownsSocket: true);
        Stream output = past is null ? network : new PrefixedStream(network, past);
        return new StreamSession(new SessionStream(output, ended, disposed), terminal, CloseStdin);
    }

    public void Close()
    {
        Local.Dispose();
        Far.Socket.Dispose();
    }

    private ValueTask CloseStdin()
    {
        try
        {
            Local.Shutdown(SocketShutdown.Send);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The process has ended, and its stdin with it.
        }

        return ValueTask.CompletedTask;
    }
}
