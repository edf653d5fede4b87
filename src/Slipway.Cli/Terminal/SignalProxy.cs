using System.Runtime.InteropServices;
using Slipway.Client;

namespace Slipway.Cli.Terminal;

/// <summary>Passes signals that the tool gets on to a container (<c>--sig-proxy</c>).</summary>
internal sealed class SignalProxy : IDisposable
{
    private readonly PosixSignalRegistration[] _registrations;

    public SignalProxy(EngineClient client, string container)
    {
        _registrations =
        [
            Forward(PosixSignal.SIGINT, "INT"),
            Forward(PosixSignal.SIGTERM, "TERM"),
            Forward(PosixSignal.SIGHUP, "HUP"),
            Forward(PosixSignal.SIGQUIT, "QUIT"),
        ];

        PosixSignalRegistration Forward(PosixSignal signal, string name) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            _ = SendAsync(client, container, name);
        });
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private static async Task SendAsync(EngineClient client, string container, string signal)
    {
        try
        {
            await client.KillContainerAsync(container, signal, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is EngineApiException or EngineUnreachableException)
        {
            await Console.Error.WriteLineAsync($"could not pass SIG{signal} on: {exception.Message}").ConfigureAwait(false);
        }
    }
}
