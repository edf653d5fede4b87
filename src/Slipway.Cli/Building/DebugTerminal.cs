using System.Globalization;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Slipway.BuildKit.Clients;
using Slipway.BuildKit.Protocol;
using Slipway.Cli.Terminal;
using Slipway.Kernel.Terminal;

namespace Slipway.Cli.Building;

/// <summary>Lends the user's terminal to shells in steps; progress waits meanwhile.</summary>
internal sealed class DebugTerminal : BuildProgress, IDisposable
{
    private const int StandardInput = 0;
    private const int StandardOutput = 1;
    private const int BufferSize = 32 * 1024;
    private const int MaxChunks = 16;

    /// <summary>For what the step wrote, which comes another way.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private readonly BuildProgress _progress;
    private readonly string _shell;
    private readonly SemaphoreSlim _screen = new(1);
    private readonly HashSet<string> _told = new(StringComparer.Ordinal);
    private readonly Channel<byte[]> _typed = Channel.CreateBounded<byte[]>(MaxChunks);
    private TaskCompletionSource _tells = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isReading;

    private DebugTerminal(BuildProgress progress, string shell) => (_progress, _shell) = (progress, shell);

    /// <exception cref="CommandException">There is no terminal.</exception>
    public static DebugTerminal Open(BuildProgress progress, string shell) => TerminalMode.IsTerminal(StandardInput)
        ? new DebugTerminal(progress, shell)
        : throw new CommandException("the input device is not a TTY: standard input has to be a terminal for --debug and --break", 1);

    public override async Task ShowAsync(StatusResponse status)
    {
        await _screen.WaitAsync().ConfigureAwait(false);
        try
        {
            await _progress.ShowAsync(status).ConfigureAwait(false);
        }
        finally
        {
            _screen.Release();
        }

        lock (_told)
        {
            _told.UnionWith(status.Statuses.Select(part => part.Id));
            _tells.TrySetResult();
            _tells = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public override Task EndAsync() => _progress.EndAsync();

    public void Dispose() => _screen.Dispose();

    /// <summary>One shell, from its place to its end.</summary>
    public async Task RunAsync(DebugCall call, CancellationToken cancellationToken)
    {
        await WaitUntilToldAsync(call.Stop.Id, cancellationToken).ConfigureAwait(false);
        await _screen.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await Console.Error.WriteLineAsync(Place(call.Stop)).ConfigureAwait(false);
            await call.StartAsync(_shell, Size()).ConfigureAwait(false);
            using TerminalMode? raw = TerminalMode.EnterRaw(StandardInput);
            await ConverseAsync(call, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _screen.Release();
        }

        await Console.Error.WriteLineAsync().ConfigureAwait(false);
    }

    private async Task WaitUntilToldAsync(string id, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_patience);
        while (!limit.IsCancellationRequested)
        {
            Task tells;
            lock (_told)
            {
                if (_told.Remove(id))
                {
                    return;
                }

                tells = _tells.Task;
            }

            await tells.WaitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ConverseAsync(DebugCall call, CancellationToken cancellationToken)
    {
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using PosixSignalRegistration window = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, context => _ = ResizeAsync(call));
        while (_typed.Reader.TryRead(out _))
        {
            // Meant for nobody.
        }

        if (!_isReading)
        {
            // One for all shells: a read of the terminal cannot be cancelled, and a second would take every other key.
            _isReading = true;
            _ = Task.Run(ReadKeysAsync, CancellationToken.None);
        }

        Task typing = TypeAsync(call, ended.Token);
        Stream output = TerminalMode.IsTerminal(StandardOutput) ? Console.OpenStandardOutput() : Console.OpenStandardError();
        await using (output.ConfigureAwait(false))
        {
            try
            {
                while (await call.ReadAsync().ConfigureAwait(false) is { } shown)
                {
                    await output.WriteAsync(shown.Memory, cancellationToken).ConfigureAwait(false);
                    await output.FlushAsync(cancellationToken).ConfigureAwait(false);
                }
            }
            finally
            {
                await ended.CancelAsync().ConfigureAwait(false);
                await typing.ConfigureAwait(false);
            }
        }
    }

    private async Task TypeAsync(DebugCall call, CancellationToken ended)
    {
        try
        {
            await foreach (byte[] keys in _typed.Reader.ReadAllAsync(ended).ConfigureAwait(false))
            {
                await call.WriteAsync(keys).ConfigureAwait(false);
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException)
        {
            // The shell has ended.
        }
    }

    private async Task ReadKeysAsync()
    {
        Stream input = TerminalKeys.Open();
        await using (input.ConfigureAwait(false))
        {
            byte[] buffer = new byte[BufferSize];
            try
            {
                for (int count; (count = await input.ReadAsync(buffer).ConfigureAwait(false)) > 0;)
                {
                    await _typed.Writer.WriteAsync(buffer[..count]).ConfigureAwait(false);
                }
            }
            catch (IOException)
            {
                // The terminal is gone; the signal that says so ends the build.
            }
        }
    }

    private static async Task ResizeAsync(DebugCall call)
    {
        try
        {
            await call.ResizeAsync(Size()).ConfigureAwait(false);
        }
        catch (Exception ended) when (ended is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // There is no window to size any more.
        }
    }

    private static (int Rows, int Columns) Size() => TerminalMode.Size(StandardInput) ?? default;

    private static string Place(DebugStop stop)
    {
        string place = string.Create(CultureInfo.InvariantCulture, $"{stop.Step} ({stop.File}:{stop.Line})");
        string text = stop.Error.Length > 0
            ? $"step failed: {place}\nERROR: {stop.Error}\nA shell in it follows; its end is that of the build."
            : $"breakpoint before: {place}\nA shell follows; the build goes on when it ends, without what was changed in it.";
        return "\n" + new string([.. text.Where(c => c == '\n' || !char.IsControl(c))]);
    }
}
