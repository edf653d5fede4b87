using System.CommandLine;
using System.Net.Sockets;
using Slipway.Client;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway system dial-stdio</c>: the far end of an <c>ssh://</c> connection. Standard input and output become the engine's socket.</summary>
internal static class DialStdioCommand
{
    public static Command Create()
    {
        Command command = new("dial-stdio", "Proxy the stdio stream to the engine's socket; run on a remote host by connection helpers, not by people") { Hidden = true };
        command.SetAction(async (result, cancellationToken) =>
        {
            EngineAddress address = Connection.Address(result);
            try
            {
                using Socket socket = await address.ConnectAsync(cancellationToken).ConfigureAwait(false);
                await ProxyAsync(socket, cancellationToken).ConfigureAwait(false);
                return 0;
            }
            catch (SocketException exception)
            {
                await Console.Error.WriteLineAsync($"failed to open the raw stream connection: {address.Text}: {exception.Message}").ConfigureAwait(false);
                return 1;
            }
        });
        return command;
    }

    /// <summary>Ends with what the engine sends: what the client would still say then nobody hears, and a read of standard input cannot be ended.</summary>
    private static async Task ProxyAsync(Socket socket, CancellationToken cancellationToken)
    {
        NetworkStream engine = new(socket, ownsSocket: false);
        await using (engine.ConfigureAwait(false))
        {
            _ = SendAsync(Console.OpenStandardInput(), engine, socket, cancellationToken);
            await engine.CopyToAsync(Console.OpenStandardOutput(), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The end of the client's input is passed on; the other direction stays open.</summary>
    private static async Task SendAsync(Stream input, NetworkStream engine, Socket socket, CancellationToken cancellationToken)
    {
        try
        {
            await input.CopyToAsync(engine, cancellationToken).ConfigureAwait(false);
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException)
        {
            // The engine has closed the connection, which ends the command.
        }
    }
}
