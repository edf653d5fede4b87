using System.Runtime.InteropServices;
using Slipway.Client;
using Slipway.Kernel.Terminal;

namespace Slipway.Cli.Terminal;

/// <summary>The caller's terminal (or pipes) connected to a process: raw mode, stdin, output, window size.</summary>
/// <param name="terminal">The process has a terminal.</param>
/// <param name="resize">Tells the engine the window's size.</param>
internal sealed class AttachedSession(HijackedStream stream, bool stdin, bool terminal, Func<int, int, CancellationToken, Task> resize)
{
    private const int StandardInput = 0;
    private const int StandardOutput = 1;

    /// <summary>Copies until the process' output ends or the user detaches.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using TerminalMode? raw = terminal && stdin ? TerminalMode.EnterRaw(StandardInput) : null;
        using PosixSignalRegistration? window = terminal ? PosixSignalRegistration.Create(PosixSignal.SIGWINCH, context => _ = SendSizeAsync(cancellationToken)) : null;
        if (stdin)
        {
            // A read of the terminal cannot be cancelled: the copy is left behind when the output has ended.
            _ = Task.Run(() => CopyInputAsync(cancellationToken), cancellationToken);
        }

        Stream output = Console.OpenStandardOutput();
        Stream error = Console.OpenStandardError();
        await using (output.ConfigureAwait(false))
        await using (error.ConfigureAwait(false))
        {
            await stream.CopyOutputAsync(terminal, output, error, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Tells the engine the window's size; an error is none, since the process may not have started or have ended.</summary>
    public async Task SendSizeAsync(CancellationToken cancellationToken)
    {
        if (TerminalMode.Size(StandardOutput) is not { } size)
        {
            return;
        }

        try
        {
            await resize(size.Rows, size.Columns, cancellationToken).ConfigureAwait(false);
        }
        catch (EngineApiException)
        {
            // Not running (yet, or any more): there is no window to size.
        }
    }

    private async Task CopyInputAsync(CancellationToken cancellationToken)
    {
        Stream input = TerminalKeys.Open();
        await using (input.ConfigureAwait(false))
        {
            byte[] buffer = new byte[32 * 1024];
            try
            {
                for (int count; (count = await input.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0;)
                {
                    await stream.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
                }

                stream.CloseWrite();
            }
            catch (Exception exception) when (exception is IOException or ObjectDisposedException or System.Net.Sockets.SocketException)
            {
                // The process has ended: nobody reads its stdin any more.
            }
        }
    }
}
