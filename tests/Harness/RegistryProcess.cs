using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Slipway.Tests.Harness;

/// <summary><c>slipway registry serve</c> as a process, on a loopback port, over a directory of its own or one that is given.</summary>
public sealed class RegistryProcess : IAsyncDisposable
{
    private readonly string[] _options;
    private readonly string? _own;
    private Process? _process;

    private RegistryProcess(string? root, string[] options)
    {
        _options = options;
        _own = root is null ? Directory.CreateTempSubdirectory("slipway-registry-").FullName : null;
        Root = root ?? _own!;
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        Port = ((IPEndPoint)probe.LocalEndpoint).Port;
        Log = Path.Combine(Path.GetTempPath(), $"slipway-registry-{Port}.log");
    }

    public string Root { get; }

    public int Port { get; }

    /// <summary>As in image names.</summary>
    public string Host => $"127.0.0.1:{Port}";

    /// <summary>File with everything it said.</summary>
    public string Log { get; }

    public static async Task<RegistryProcess> Start(string? root = null, params string[] options)
    {
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        var registry = new RegistryProcess(root, options);
        try
        {
            await registry.Start();
            return registry;
        }
        catch
        {
            await registry.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it again after <see cref="Kill"/>, at the same address.</summary>
    public async Task Start()
    {
        _process = Programs.Start("sh", ["-c", "log=$1; shift; exec \"$@\" >> \"$log\" 2>&1 < /dev/null", "sh", Log, Repository.Executable!, "registry", "serve", "--listen", Host, "--root", Root, .. _options]);
        var clock = Stopwatch.StartNew();
        while (!await Answers())
        {
            if (_process.HasExited || clock.Elapsed > Programs.Limit(30))
            {
                throw new InvalidOperationException($"the registry did not start:\n{await File.ReadAllTextAsync(Log)}");
            }
            await Task.Delay(20);
        }
    }

    /// <summary>kill -9.</summary>
    public async Task Kill()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            (await Programs.Run("kill", ["-TERM", $"{_process.Id}"])).Ok();
            await _process.WaitForExitAsync().WaitAsync(Programs.Limit(30));
        }
        _process?.Dispose();
        File.Delete(Log);
        if (_own is not null)
        {
            Directory.Delete(_own, recursive: true);
        }
    }

    private async Task<bool> Answers()
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
