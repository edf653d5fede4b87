using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;

namespace Slipway.Engine.Builds.Steps;

/// <summary>The socket of an agent that a step sees: each connection to it is one to the client's agent. It lies in a file system in memory that nobody else has.</summary>
internal sealed class AgentSocket : IAsyncDisposable
{
    private const string Name = "agent";
    private const int Backlog = 16;

    private readonly Socket _listener;
    private readonly SafeFileHandle _files;
    private readonly ISshAgentSource _agents;
    private readonly string _id;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _connections = [];
    private readonly Task _accepting;

    private AgentSocket(Socket listener, SafeFileHandle files, ISshAgentSource agents, string id)
    {
        (_listener, _files, _agents, _id) = (listener, files, agents, id);
        _accepting = AcceptAsync();
    }

    public static AgentSocket Listen(ISshAgentSource agents, string id, uint mode, uint user, uint group)
    {
        SafeFileHandle files = FileSystemContext.Mount("tmpfs", MountAttributes.None, "source=tmpfs", "mode=700");
        Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            // A socket is bound by a path only; this one leads through the descriptor.
            listener.Bind(new UnixDomainSocketEndPoint($"/proc/self/fd/{files.DangerousGetHandle()}/{Name}"));
            listener.Listen(Backlog);
            DirectoryEntry.ChangeOwner(files, Name, user, group);
            DirectoryEntry.ChangeMode(files, Name, mode);
            return new AgentSocket(listener, files, agents, id);
        }
        catch
        {
            listener.Dispose();
            files.Dispose();
            throw;
        }
    }

    public SafeFileHandle TakeMount() => MountPart.Take(_files, Name);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _files.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(ServeAsync(await _listener.AcceptAsync(_stop.Token)));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The step has ended.
        }
    }

    private async Task ServeAsync(Socket connection)
    {
        await using NetworkStream near = new(connection, ownsSocket: true);
        try
        {
            await using Stream far = await _agents.ConnectAsync(_id, _stop.Token);
            Task answers = far.CopyToAsync(near, _stop.Token);
            await near.CopyToAsync(far, _stop.Token);
            await answers;
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            // Either side has gone; the other sees the end of its connection.
        }
    }
}
