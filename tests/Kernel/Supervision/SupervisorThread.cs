using Slipway.Kernel;
using Slipway.Kernel.Process;
using Slipway.Kernel.Sockets;
using Slipway.Runtime.Supervision;
using Slipway.Tests.Kernel.Process;

namespace Slipway.Tests.Kernel.Supervision;

/// <summary>A supervisor on a thread of the test process, with directories of its own.</summary>
internal sealed class SupervisorThread : IAsyncDisposable
{
    private readonly Thread _thread;

    private SupervisorThread(string root)
    {
        Root = root;
        Options = new SupervisorOptions(Path.Combine(root, "run"), Path.Combine(root, "data"));
        _thread = new Thread(() => SupervisorHost.Run(Options)) { IsBackground = true };
        _thread.Start();
    }

    public string Root { get; }

    public SupervisorOptions Options { get; }

    public SupervisorClient Client { get; private set; } = null!;

    public static async Task<SupervisorThread> StartAsync(string? root = null)
    {
        var supervisor = new SupervisorThread(root ?? Directory.CreateTempSubdirectory("slipway-supervisor-").FullName);
        supervisor.Client = await supervisor.ConnectAsync();
        return supervisor;
    }

    public async Task<SupervisorClient> ConnectAsync()
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return await SupervisorClient.ConnectAsync(Options.SocketPath, CancellationToken.None);
            }
            catch (KernelException) when (attempt < 500)
            {
                await Task.Delay(10);
            }
        }
    }

    /// <summary>Launches a program of the host. Returns the process and the clients' ends of its attachments.</summary>
    public async Task<(LaunchedProcess Process, Client[] Clients)> LaunchAsync(LaunchRequest request, params (bool Stdin, bool Stdout, bool Stderr)[] attachments)
    {
        List<Client> clients = [];
        List<Attachment> ends = [];
        foreach ((bool stdin, bool stdout, bool stderr) in attachments)
        {
            (Client client, Attachment attachment) = Supervision.Client.Create(stdin, stdout, stderr);
            clients.Add(client);
            ends.Add(attachment);
        }

        using (request.Plan)
        {
            LaunchedProcess process = await Client.LaunchAsync(request with { Attachments = ends }, CancellationToken.None);
            return (process, [.. clients]);
        }
    }

    public static LaunchRequest Shell(string id, string script) => new() { Id = id, Plan = PlanBuilder.Execute(false, "/bin/sh", "-c", script) };

    public LaunchRequest Logged(string id, string script, long maxSize = -1, int maxFiles = 1) =>
        Shell(id, script) with { Log = new LogTarget(LogPath(id), maxSize, maxFiles) };

    public string LogPath(string id) => Path.Combine(Root, $"{id}.log");

    public async Task<ProcessExit> ExitAsync(string id)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await foreach (ProcessExit exit in Client.ExitsAsync(timeout.Token))
        {
            if (exit.Id == id)
            {
                return exit;
            }
        }

        throw new InvalidOperationException($"the supervisor ended before {id}");
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await using (SupervisorClient last = await ConnectAsync())
        {
            await last.ShutdownAsync(CancellationToken.None);
        }

        _thread.Join();
        Directory.Delete(Root, recursive: true);
    }
}
