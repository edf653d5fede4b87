using System.Buffers.Binary;
using System.Text;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Plugins;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary>An engine in this process, with roots, bridge and cgroups of its own; nothing of it is left after the tests.</summary>
public sealed class EngineFixture : IAsyncLifetime
{
    private static int s_count;

    private readonly int _number = Interlocked.Increment(ref s_count);
    private SlipwayEngine? _engine;

    public SlipwayEngine Engine => _engine!;

    public RecordingLog Log { get; } = new();

    public EngineOptions Options => new()
    {
        DataRoot = $"/var/lib/slipway-test-{Environment.ProcessId}-{_number}",
        ExecRoot = $"/run/slipway-test-{Environment.ProcessId}-{_number}",
        SecretsKeyFile = $"/run/slipway-test-{Environment.ProcessId}-{_number}/secrets.key",
        Plugins = new PluginDirectory($"/run/slipway-test-{Environment.ProcessId}-{_number}/plugins", [$"/run/slipway-test-{Environment.ProcessId}-{_number}/plugins"]),
        Bridge = $"slwt{Environment.ProcessId % 100000}x{_number}",
        BridgeAddress = $"10.217.{_number}.1/24",
        SupervisorExecutable = AppContext.BaseDirectory.TrimEnd('/').Replace("/tests/Engine/", "/tests/SupervisorProcess/", StringComparison.Ordinal) + "/Slipway.Tests.SupervisorProcess",
    };

    public async ValueTask InitializeAsync()
    {
        Assert.True(Environment.IsPrivilegedProcess, "these tests need root");
        await StartAsync();
        await BusyboxImage.ImportAsync(Engine, [], "latest", CancellationToken.None);
    }

    public async Task StartAsync() => _engine = await SlipwayEngine.StartAsync(Options, TimeProvider.System, Log, CancellationToken.None);

    /// <summary>Ends the engine and starts another; containers run on meanwhile.</summary>
    public async Task RestartAsync()
    {
        await Engine.DisposeAsync();
        await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ContainerSummary container in Engine.Containers.List(new ContainerListOptions(All: true)))
        {
            await Engine.Containers.RemoveAsync(container.Id, new ContainerRemoveOptions(Force: true, Volumes: true), CancellationToken.None);
        }

        await Engine.CleanUpAsync(CancellationToken.None);
        Directory.Delete(Options.DataRoot, recursive: true);
        Directory.Delete(Options.ExecRoot, recursive: true);
    }

    /// <summary>A request as <c>docker run</c> makes it.</summary>
    public static ContainerCreateRequest Request(params string[] command) =>
        new() { Image = BusyboxImage.Name, Cmd = [.. command], AttachStdout = true, AttachStderr = true, HostConfig = new HostConfig() };

    public async Task<string> CreateAsync(ContainerCreateRequest request, string? name = null) =>
        (await Engine.Containers.CreateAsync(new ContainerCreate(name, null, request), TestContext.Current.CancellationToken)).Id;

    /// <summary>Creates and starts (<c>docker run -d</c>).</summary>
    public async Task<string> StartedAsync(ContainerCreateRequest request, string? name = null)
    {
        string id = await CreateAsync(request, name);
        await Engine.Containers.StartAsync(id, TestContext.Current.CancellationToken);
        return id;
    }

    /// <summary>Attaches, starts, reads the output to its end and the exit code (<c>docker run --rm</c>).</summary>
    public async Task<RunResult> RunAsync(ContainerCreateRequest request, string? input = null)
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        request.HostConfig!.AutoRemove = true;
        request.OpenStdin = input is not null;
        request.StdinOnce = input is not null;
        string id = await CreateAsync(request);
        await using StreamSession session = await Engine.Containers.AttachAsync(id, new AttachOptions(input is not null, true, true, false, true), cancellation);
        ContainerWait wait = Engine.Containers.Wait(id, WaitCondition.Removed, cancellation);
        await Engine.Containers.StartAsync(id, cancellation);
        if (input is not null)
        {
            await session.Stream.WriteAsync(Encoding.UTF8.GetBytes(input), cancellation);
            await session.CloseStdin();
        }

        (string output, string error) = await ReadAsync(session, cancellation);
        return new RunResult((await wait.Exit).StatusCode, output, error);
    }

    public Task<RunResult> RunAsync(params string[] command) => RunAsync(Request(command));

    public async Task<(long ExitCode, string Output)> ExecAsync(string container, params string[] command)
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        string id = await Engine.Execs.CreateAsync(container, new Api.Exec.ExecCreateRequest { Cmd = [.. command], AttachStdout = true, AttachStderr = true }, cancellation);
        await using StreamSession? session = await Engine.Execs.StartAsync(id, new Api.Exec.ExecStartRequest(), cancellation);
        (string output, string error) = await ReadAsync(session!, cancellation);
        return (Engine.Execs.Inspect(id).ExitCode ?? -1, output + error);
    }

    public async Task<long> WaitAsync(string container) =>
        (await Engine.Containers.Wait(container, WaitCondition.NotRunning, TestContext.Current.CancellationToken).Exit).StatusCode;

    public ContainerInspect Inspect(string container) => Engine.Containers.Inspect(container, size: false);

    /// <summary>Both outputs to their ends; a terminal's is all in the first.</summary>
    public static async Task<(string Output, string Error)> ReadAsync(StreamSession session, CancellationToken cancellationToken)
    {
        MemoryStream bytes = new();
        await session.Stream.CopyToAsync(bytes, cancellationToken);
        if (session.Terminal)
        {
            return (Encoding.UTF8.GetString(bytes.ToArray()), "");
        }

        StringBuilder[] outputs = [new(), new()];
        for (ReadOnlyMemory<byte> rest = bytes.ToArray(); rest.Length > 0;)
        {
            int length = BinaryPrimitives.ReadInt32BigEndian(rest.Span[4..]);
            outputs[rest.Span[0] - 1].Append(Encoding.UTF8.GetString(rest.Span.Slice(8, length)));
            rest = rest[(8 + length)..];
        }

        return (outputs[0].ToString(), outputs[1].ToString());
    }
}

public sealed record RunResult(long ExitCode, string Output, string Error);

public sealed class RecordingLog : IEngineLog
{
    private readonly List<string> _messages = [];

    public IReadOnlyList<string> Messages
    {
        get
        {
            lock (_messages)
            {
                return [.. _messages];
            }
        }
    }

    public void Write(EngineLogLevel level, string message, Exception? exception = null)
    {
        lock (_messages)
        {
            _messages.Add($"{level}: {message} {exception}");
        }
    }
}
