using System.Net.Sockets;

namespace Slipway.Engine.Builds.Steps;

/// <summary>Carries what is typed to a shell, and what it shows back.</summary>
/// <param name="end">Cancelled, which ends the shell, where the user has gone.</param>
internal sealed class TerminalRelay(IDebugTerminal terminal, Func<ushort, ushort, Task> resize, CancellationTokenSource end)
{
    private const int BufferSize = 32 << 10;

    /// <summary>Until the shell has closed its end.</summary>
    public async Task RunAsync(Socket socket)
    {
        await using NetworkStream shell = new(socket, ownsSocket: true);
        using CancellationTokenSource shown = CancellationTokenSource.CreateLinkedTokenSource(end.Token);
        Task typing = TypeAsync(shell, shown.Token);
        byte[] buffer = new byte[BufferSize];
        try
        {
            // To the end also when the user has gone: it is the shell's own.
            for (int count; (count = await shell.ReadAsync(buffer, CancellationToken.None)) > 0;)
            {
                await terminal.WriteAsync(buffer.AsMemory(0, count), end.Token);
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            await end.CancelAsync();
        }

        await shown.CancelAsync();
        await typing;
    }

    private async Task TypeAsync(NetworkStream shell, CancellationToken shown)
    {
        try
        {
            while (await terminal.ReadAsync(shown) is { } input)
            {
                if (input.Size is var (rows, columns))
                {
                    await resize(rows, columns);
                }

                await shell.WriteAsync(input.Data, shown);
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            // Either the shell has ended, or its user has gone.
        }

        if (!shown.IsCancellationRequested)
        {
            await end.CancelAsync();
        }
    }
}
