using System.Globalization;
using System.Net.Sockets;
using Slipway.Kernel;
using Slipway.Kernel.Process;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Supervision;
using Slipway.Tests.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Kernel.Supervision;

/// <summary>The supervisor as a process: started, killed, started again.</summary>
public sealed class SupervisorProcessTests : IAsyncLifetime
{
    private readonly string _root = Directory.CreateTempSubdirectory("slipway-supervisor-process-").FullName;
    private readonly SupervisorOptions _options;

    public SupervisorProcessTests()
    {
        _options = new SupervisorOptions(Path.Combine(_root, "run"), Path.Combine(_root, "data"));
    }

    private static CancellationToken None => TestContext.Current.CancellationToken;

    private static string[] Command
    {
        get
        {
            // Beside this project's own output: tests/Kernel/bin/CONFIGURATION/net10.0 -> tests/SupervisorProcess/bin/….
            string own = AppContext.BaseDirectory.TrimEnd('/');
            string program = own.Replace("/tests/Kernel/", "/tests/SupervisorProcess/", StringComparison.Ordinal) + "/Slipway.Tests.SupervisorProcess";
            return [program];
        }
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>A test that has failed leaves its supervisor running.</summary>
    public async ValueTask DisposeAsync()
    {
        if (File.Exists(_options.SocketPath))
        {
            await using SupervisorClient client = await SupervisorClient.ConnectAsync(_options.SocketPath, CancellationToken.None);
            await client.ShutdownAsync(CancellationToken.None);
        }

        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task It_is_started_once_and_found_by_those_who_come_later()
    {
        SupervisorClient[] clients = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => SupervisorLauncher.ConnectOrStartAsync(_options, Command, None)));
        Assert.Single(clients.Select(client => client.SupervisorPid).Distinct());
        int pid = clients[0].SupervisorPid;
        string status = await File.ReadAllTextAsync($"/proc/{pid}/status", None);

        // A session of its own, and no inherited descriptor but the three streams and what it opened itself.
        Assert.Equal(pid, int.Parse((await File.ReadAllTextAsync($"/proc/{pid}/stat", None)).Split(' ')[5], CultureInfo.InvariantCulture));
        Assert.Equal(_options.LogPath, new FileInfo($"/proc/{pid}/fd/1").LinkTarget);
        await clients[0].ShutdownAsync(None);
        foreach (SupervisorClient client in clients)
        {
            await client.DisposeAsync();
        }

        Assert.False(File.Exists(_options.SocketPath));
    }

    [Fact]
    public async Task A_program_that_cannot_be_executed_is_told()
    {
        LaunchException exception = await Assert.ThrowsAsync<LaunchException>(() => SupervisorLauncher.ConnectOrStartAsync(_options, ["/nowhere/slipway"], None));
        Assert.Equal(Errno.ENOENT, exception.Errno);
        SupervisorException ended = await Assert.ThrowsAsync<SupervisorException>(() => SupervisorLauncher.ConnectOrStartAsync(_options, ["/bin/sh", "-c", "exit 3"], None));
        Assert.Contains("status 3", ended.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Killed_with_a_container_it_leaves_none_behind_and_the_next_one_reports_it()
    {
        SupervisorClient first = await SupervisorLauncher.ConnectOrStartAsync(_options, Command, None);
        using LaunchPlan done = PlanBuilder.Execute(false, "/bin/sh", "-c", "exit 9");
        (await first.LaunchAsync(new LaunchRequest { Id = "done", Plan = done }, None)).Pidfd.Dispose();
        await foreach (ProcessExit exit in first.ExitsAsync(None))
        {
            Assert.Equal(9, exit.ExitCode);
            break;
        }

        using LaunchPlan plan = PlanBuilder.Execute(false, PlanBuilder.CLONE_NEWPID, null, "/bin/sleep", "600");
        LaunchedProcess container = await first.LaunchAsync(new LaunchRequest { Id = "running", Plan = plan }, None);
        using LaunchPlan hanging = PlanBuilder.Execute(false, "/bin/sleep", "600");
        Task<LaunchedProcess> lost = first.LaunchAsync(new LaunchRequest { Id = "other", Plan = hanging }, None);
        (await lost).Pidfd.Dispose();

        System.Diagnostics.Process.GetProcessById(first.SupervisorPid).Kill();
        await first.Lost.WaitAsync(TimeSpan.FromSeconds(10), None);
        await Assert.ThrowsAsync<SupervisorLostException>(() => first.ListAsync(None));
        Assert.Empty(await ToList(first.ExitsAsync(None)));
        await first.DisposeAsync();

        await using SupervisorClient second = await SupervisorLauncher.ConnectOrStartAsync(_options, Command, None);
        Dictionary<string, int> exits = [];
        await foreach (ProcessExit exit in second.ExitsAsync(None))
        {
            exits.Add(exit.Id, exit.ExitCode);
            if (exits.Count == 3)
            {
                break;
            }
        }

        Assert.Equal(9, exits["done"]);
        Assert.Equal(137, exits["running"]);
        Assert.Equal(137, exits["other"]);
        using (var ended = new Epoll(1))
        {
            // A pidfd is readable once its process has ended (pidfd_open(2)), reaped or not.
            ended.Add(container.Pidfd, EpollEvents.In, 1);
            List<ReadyDescriptor> ready = [];
            ended.Wait(ready, 0);
            Assert.Single(ready);
        }

        container.Pidfd.Dispose();
        Assert.Empty((await second.ListAsync(None)).Running);
        await second.ShutdownAsync(None);
    }

    [Fact]
    public async Task A_container_outlives_the_process_of_its_engine()
    {
        // The engine is a connection here; that it is dropped without a word is what kill -9 looks like to the supervisor.
        SupervisorClient engine = await SupervisorLauncher.ConnectOrStartAsync(_options, Command, None);
        using LaunchPlan plan = PlanBuilder.Execute(false, "/bin/sleep", "600");
        LaunchedProcess process = await engine.LaunchAsync(new LaunchRequest { Id = "a", Plan = plan }, None);
        await engine.DisposeAsync();

        await using SupervisorClient next = await SupervisorLauncher.ConnectOrStartAsync(_options, Command, None);
        SupervisedProcess running = Assert.Single((await next.ListAsync(None)).Running);
        Assert.Equal(("a", process.Pid, process.StartedAt), (running.Id, running.Pid, running.StartedAt));
        Assert.True(Pidfd.SendSignal(running.Pidfd, 15));
        await foreach (ProcessExit exit in next.ExitsAsync(None))
        {
            Assert.Equal((143, 15), (exit.ExitCode, exit.Signal));
            break;
        }

        process.Pidfd.Dispose();
        running.Pidfd.Dispose();
        await next.ShutdownAsync(None);
    }

    [Fact]
    public async Task Nothing_but_root_in_its_own_namespaces_may_command_it()
    {
        await using SupervisorClient client = await SupervisorLauncher.ConnectOrStartAsync(_options, Command, None);

        // A process in another mount namespace, as a container with the socket bind-mounted would be.
        using var other = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(
            "/usr/bin/unshare", ["-m", "python3", "-c", $"import socket; s=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('{_options.SocketPath}'); print(len(s.recv(100)))"])
        {
            RedirectStandardOutput = true,
        })!;
        Assert.Equal("0\n", await other.StandardOutput.ReadToEndAsync(None));
        await other.WaitForExitAsync(None);
        Assert.Contains("another mnt namespace", await File.ReadAllTextAsync(_options.LogPath, None), StringComparison.Ordinal);
        await client.ShutdownAsync(None);
    }

    [Fact]
    public async Task Garbage_closes_the_connection_and_nothing_else()
    {
        await using SupervisorClient client = await SupervisorLauncher.ConnectOrStartAsync(_options, Command, None);
        foreach (byte[] packet in (byte[][])[[1], [1, 0, 0, 0, 1, 0, 0, 0], [3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [4, 0, 0, 0, 1, 0, 0, 0, 255, 255]])
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_options.SocketPath), None);
            await socket.SendAsync(packet, None);
            Assert.Equal(0, await socket.ReceiveAsync(new byte[16], None));
        }

        Assert.Empty((await client.ListAsync(None)).Running);
        await client.ShutdownAsync(None);
    }

    private static async Task<List<T>> ToList<T>(IAsyncEnumerable<T> items)
    {
        List<T> list = [];
        await foreach (T item in items)
        {
            list.Add(item);
        }

        return list;
    }
}
