using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Slipway.Client;
using Slipway.Kernel;
using Slipway.Kernel.Process;

namespace Slipway.Cli;

/// <summary>The embedded default: a verb that needs an engine starts one where none answers on the default socket.</summary>
internal static class EngineStarter
{
    private const string LogPath = "/var/log/slipway.log";
    private static readonly TimeSpan _startLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan _askAgain = TimeSpan.FromMilliseconds(20);

    /// <exception cref="CommandException">An engine could not be started.</exception>
    /// <exception cref="EngineUnreachableException">None answers at an address the caller named.</exception>
    public static async Task EnsureRunningAsync(EngineClient client, CancellationToken cancellationToken)
    {
        if (client.Address.SocketPath is not { } socket || client.Address.Text != EngineAddress.Default)
        {
            return;
        }

        if (await client.PingAsync(cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        await Console.Error.WriteLineAsync("No engine is running: starting one.").ConfigureAwait(false);
        try
        {
            using SafeFileHandle log = File.OpenHandle(LogPath, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
            await DetachedProcess.StartAsync(Environment.ProcessPath!, ["daemon", "--host", "unix://" + socket], log).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is KernelException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"the engine could not be started: {exception.Message}");
        }

        Stopwatch waited = Stopwatch.StartNew();
        while (!await client.PingAsync(cancellationToken).ConfigureAwait(false))
        {
            if (waited.Elapsed > _startLimit)
            {
                throw new CommandException($"the engine did not come up within {_startLimit.TotalSeconds:0} seconds; {LogPath} tells why");
            }

            await Task.Delay(_askAgain, cancellationToken).ConfigureAwait(false);
        }
    }
}
