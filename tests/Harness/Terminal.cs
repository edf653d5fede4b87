using System.Diagnostics;
using System.Text;

namespace Slipway.Tests.Harness;

/// <summary>
/// A command at a terminal, as a person sits before it: <see cref="Type"/> keys, <see cref="Expect"/> what shows.
/// The pseudo-terminal is made by terminal.py beside the tests, since the test projects make no system calls of their own.
/// </summary>
public sealed class Terminal : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _shown = new();
    private readonly Task _reading;
    private readonly SemaphoreSlim _arrived = new(0);
    private int _read;

    public Terminal(Docker docker, params string[] arguments) : this(Docker.Path, docker.Variables, arguments)
    {
    }

    public Terminal(string program, IReadOnlyDictionary<string, string> variables, IReadOnlyList<string> arguments)
    {
        Requirement.Program("python3", "python3");
        var script = Path.Combine(Repository.Root, "tests/Harness/terminal.py");
        _process = Programs.Start("python3", [script, program, .. arguments], variables);
        // What the harness itself says on standard error (a missing program) belongs into the failure's text too.
        _reading = Task.WhenAll(Read(_process.StandardOutput), Read(_process.StandardError));
    }

    /// <summary>All that was shown so far.</summary>
    public string Shown
    {
        get
        {
            lock (_shown)
            {
                return _shown.ToString();
            }
        }
    }

    public Task Type(string keys) => Send('d', Encoding.UTF8.GetBytes(keys));

    public Task Resize(int rows, int columns) => Send('r', Encoding.UTF8.GetBytes($"{rows} {columns}"));

    /// <summary>Waits until the text shows behind what was expected last, and moves there.</summary>
    /// <exception cref="TimeoutException">It did not show within the limit (default 20 s).</exception>
    public async Task Expect(string text, TimeSpan? limit = null)
    {
        using var timeout = new CancellationTokenSource(limit ?? Programs.Limit(20));
        while (true)
        {
            var at = Shown.IndexOf(text, _read, StringComparison.Ordinal);
            if (at >= 0)
            {
                _read = at + text.Length;
                return;
            }
            if (_reading.IsCompleted && Shown.IndexOf(text, _read, StringComparison.Ordinal) < 0)
            {
                throw new TimeoutException($"\"{text}\" never showed before the end; all shown: {Shown}");
            }
            try
            {
                await _arrived.WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"\"{text}\" did not show; all shown: {Shown}");
            }
        }
    }

    /// <summary>Waits for the end of the command; its exit code.</summary>
    public async Task<int> End()
    {
        using var timeout = new CancellationTokenSource(Programs.Limit(30));
        try
        {
            await _process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"the command did not end; all shown: {Shown}");
        }
        await _reading;
        return _process.ExitCode;
    }

    private async Task Send(char kind, byte[] body)
    {
        var input = _process.StandardInput.BaseStream;
        await input.WriteAsync(Encoding.ASCII.GetBytes($"{kind}{body.Length}\n"));
        await input.WriteAsync(body);
        await input.FlushAsync();
    }

    private async Task Read(StreamReader source)
    {
        var buffer = new char[4096];
        int count;
        while ((count = await source.ReadAsync(buffer)) > 0)
        {
            lock (_shown)
            {
                _shown.Append(buffer, 0, count);
            }
            _arrived.Release();
        }
        _arrived.Release();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }
        await _reading;
        _process.Dispose();
        _arrived.Dispose();
    }
}
