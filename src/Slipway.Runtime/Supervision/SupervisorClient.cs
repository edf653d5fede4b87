using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Process;
using Slipway.Kernel.Sockets;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision;

/// <summary>
/// The engine's connection to a supervisor. Calls are sent by the caller's thread; a thread of its own receives and completes them.
/// </summary>
public sealed partial class SupervisorClient : ISupervisor
{
    private const int SIGKILL = 9;

    private readonly PacketSocket _socket;
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, PendingCall> _calls = [];
    private readonly byte[] _packet = new byte[ProtocolLimits.MaxPacket];
    private readonly Channel<ProcessExit> _exits = Channel.CreateUnbounded<ProcessExit>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private uint _lastCall;
    private bool _isLost;
    private SafeFileHandle? _started;

    private SupervisorClient(PacketSocket socket)
    {
        _socket = socket;
        new Thread(Receive, 256 * 1024) { IsBackground = true, Name = "supervisor client" }.Start();
    }

    private delegate void Encode(ref MessageWriter message);

    /// <summary>The supervisor's pid.</summary>
    public int SupervisorPid { get; private set; }

    /// <summary>Completes when the connection is lost.</summary>
    public Task Lost => _lost.Task;

    /// <summary>Connects to the supervisor that listens at <paramref name="socketPath"/>.</summary>
    /// <exception cref="KernelException">ENOENT or ECONNREFUSED where there is none.</exception>
    /// <exception cref="SupervisorException">It speaks no version this build speaks.</exception>
    public static async Task<SupervisorClient> ConnectAsync(string socketPath, CancellationToken cancellationToken)
    {
        var client = new SupervisorClient(PacketSocket.Connect(socketPath));
        try
        {
            Reply reply = await client.CallAsync(MessageKind.Hello, (ref MessageWriter message) => message.UInt16(ProtocolLimits.Version), [], cancellationToken).ConfigureAwait(false);
            client.Welcome(reply);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes the pidfd of the supervisor that this process started, to reap it when it ends.</summary>
    internal void ReapAtEnd(SafeFileHandle pidfd)
    {
        lock (_gate)
        {
            if (!_isLost)
            {
                _started = pidfd;
                return;
            }
        }

        using (pidfd)
        {
            Pidfd.TryWait(pidfd);
        }
    }

    /// <inheritdoc/>
    public async Task<LaunchedProcess> LaunchAsync(LaunchRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        Task<Reply> call;
        try
        {
            using SafeFileHandle plan = MemoryFile.Create("plan", PlanDocument.Serialize(request.Plan));
            SafeHandle[] descriptors =
            [
                plan,
                .. request.Terminal is null ? (IEnumerable<SafeHandle>)[] : [request.Terminal],
                .. request.Attachments.Select(attachment => attachment.Socket),
                .. request.Plan.Descriptors,
            ];
            call = Call(MessageKind.Launch, (ref MessageWriter message) => Write(request, ref message), descriptors);
        }
        finally
        {
            request.Terminal?.Dispose();
            foreach (Attachment attachment in request.Attachments)
            {
                attachment.Socket.Dispose();
            }
        }

        Reply reply;
        try
        {
            reply = await call.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _ = GiveUpAsync(request.Id, call);
            throw;
        }

        return Launched(reply);
    }

    /// <inheritdoc/>
    public async Task<SupervisorState> ListAsync(CancellationToken cancellationToken)
    {
        Reply last = await CallAsync(MessageKind.List, static (ref MessageWriter message) => { }, [], cancellationToken).ConfigureAwait(false);
        List<SupervisedProcess> running = [];
        List<ProcessExit> exits = [];
        foreach (Reply part in last.Parts)
        {
            if (part.Kind == MessageKind.Running)
            {
                running.Add(ReadRunning(part));
            }
            else
            {
                exits.Add(ReadExit(new MessageFields(part.Fields)));
            }
        }

        return new SupervisorState(running, exits);
    }

    /// <inheritdoc/>
    public Task AcknowledgeExitAsync(string id, CancellationToken cancellationToken) =>
        CallAsync(MessageKind.Acknowledge, (ref MessageWriter message) => message.Text(id), [], cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<ProcessExit> ExitsAsync(CancellationToken cancellationToken) => _exits.Reader.ReadAllAsync(cancellationToken);

    /// <inheritdoc/>
    public async Task ShutdownAsync(CancellationToken cancellationToken)
    {
        await CallAsync(MessageKind.Shutdown, static (ref MessageWriter message) => { }, [], cancellationToken).ConfigureAwait(false);
        await Lost.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Disconnects. Processes and supervisor go on.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (!_isLost)
            {
                _socket.Shutdown();
            }
        }

        await Lost.ConfigureAwait(false);
    }

    private static void Write(LaunchRequest request, ref MessageWriter message)
    {
        LaunchFlags flags = (request.Terminal is null ? 0 : LaunchFlags.Terminal)
            | (request.OpenStdin ? LaunchFlags.OpenStdin : 0)
            | (request.StdinOnce ? LaunchFlags.StdinOnce : 0)
            | (request.HoldOutput ? LaunchFlags.HoldOutput : 0)
            | (request.Log is null ? 0 : LaunchFlags.Log)
            | (request.Log is { Attributes.Length: > 0 } ? LaunchFlags.LogAttributes : 0)
            | (request.Log is { Compress: true } ? LaunchFlags.LogCompress : 0)
            | (request.Log is { DropBeyond: not null } ? LaunchFlags.LogDrops : 0);
        message.Text(request.Id);
        message.Text(request.ContainerId);
        message.Byte((byte)flags);
        message.Text(request.Log?.Path);
        message.Int64(request.Log?.MaxSize ?? 0);
        message.Int32(request.Log?.MaxFiles ?? 0);
        if ((flags & LaunchFlags.LogAttributes) != 0)
        {
            message.Text(request.Log!.Attributes);
        }

        if ((flags & LaunchFlags.LogDrops) != 0)
        {
            message.Int32(request.Log!.DropBeyond!.Value);
        }

        message.UInt16((ushort)request.Attachments.Count);
        foreach (Attachment attachment in request.Attachments)
        {
            message.Byte((byte)Flags(attachment));
        }
    }

    private static LaunchedProcess Launched(Reply reply)
    {
        var fields = new MessageFields(reply.Fields);
        if (reply.Kind == MessageKind.LaunchFailed)
        {
            (int step, int steps, int errno, int signal) = (fields.Int32(), fields.Int32(), fields.Int32(), fields.Int32());
            throw new LaunchException(step, steps, fields.Text(), errno, signal);
        }

        int pid = fields.Int32();
        return new LaunchedProcess(pid, reply.Descriptor(), fields.Time());
    }

    private static bool Done(Reply reply) => reply.Fields[0] != 0;

    private static SupervisedProcess ReadRunning(Reply part)
    {
        var fields = new MessageFields(part.Fields);
        string id = fields.Text();
        string? containerId = fields.OptionalText();
        int pid = fields.Int32();
        return new SupervisedProcess(id, containerId, pid, part.Descriptor(), fields.Time());
    }

    private static ProcessExit ReadExit(MessageFields fields) => new(fields.Text(), fields.OptionalText(), fields.Int32(), fields.Int32(), fields.Time());

    private async Task GiveUpAsync(string id, Task<Reply> call)
    {
        try
        {
            await CallAsync(MessageKind.Cancel, (ref MessageWriter message) => message.Text(id), [], CancellationToken.None).ConfigureAwait(false);
            LaunchedProcess process = Launched(await call.ConfigureAwait(false));
            using (process.Pidfd)
            {
                Pidfd.SendSignal(process.Pidfd, SIGKILL);
            }
        }
        catch (IOException)
        {
            // It did not start, or the supervisor is gone: there is nothing to kill.
        }
    }

    private void Welcome(Reply reply)
    {
        var fields = new MessageFields(reply.Fields);
        ushort version = fields.UInt16();
        SupervisorPid = fields.Int32();
        if (version != ProtocolLimits.Version)
        {
            throw new SupervisorException($"the supervisor speaks protocol version {version}, this engine {ProtocolLimits.Version}");
        }
    }

    private Task<Reply> CallAsync(MessageKind kind, Encode encode, ReadOnlySpan<SafeHandle> descriptors, CancellationToken cancellationToken) =>
        Call(kind, encode, descriptors).WaitAsync(cancellationToken);

    /// <summary>Sends a call. The descriptors may be closed when it returns.</summary>
    private Task<Reply> Call(MessageKind kind, Encode encode, ReadOnlySpan<SafeHandle> descriptors)
    {
        var call = new PendingCall();
        lock (_gate)
        {
            if (_isLost)
            {
                throw new SupervisorLostException("the supervisor is gone");
            }

            uint number = ++_lastCall == 0 ? ++_lastCall : _lastCall;
            var message = new MessageWriter(_packet, kind, number);
            encode(ref message);
            _calls.Add(number, call);
            int errno = Send(message.Packet, descriptors);
            if (errno != 0)
            {
                _calls.Remove(number);
                throw new SupervisorLostException($"the supervisor is gone: {new KernelException("sendmsg", errno).Message}");
            }
        }

        return call.Task;
    }

    /// <summary>What does not fit the packet's descriptors goes ahead in packets of its own.</summary>
    private int Send(ReadOnlySpan<byte> packet, ReadOnlySpan<SafeHandle> descriptors)
    {
        var ahead = new MessageWriter(stackalloc byte[MessageWriter.HeaderBytes], MessageKind.Descriptors, 0);
        while (descriptors.Length > PacketSocket.MaxDescriptors)
        {
            int errno = _socket.Send(ahead.Packet, descriptors[..PacketSocket.MaxDescriptors]);
            if (errno != 0)
            {
                return errno;
            }

            descriptors = descriptors[PacketSocket.MaxDescriptors..];
        }

        return _socket.Send(packet, descriptors);
    }

    private void Receive()
    {
        byte[] packet = new byte[ProtocolLimits.MaxPacket];
        List<SafeFileHandle> descriptors = [];
        string reason = "the supervisor ended";
        try
        {
            while (true)
            {
                int length = _socket.Receive(packet, descriptors);
                if (length <= 0)
                {
                    reason = length == 0 ? reason : new KernelException("recvmsg", -length).Message;
                    break;
                }

                Dispatch(packet.AsSpan(0, length), descriptors);
                descriptors.Clear();
            }
        }
        catch (InvalidDataException exception)
        {
            reason = exception.Message;
        }

        End(reason);
    }

    private void Dispatch(ReadOnlySpan<byte> packet, List<SafeFileHandle> descriptors)
    {
        var fields = new MessageFields(packet);
        MessageHeader header = MessageHeader.Read(ref fields);
        if (header.Call == 0)
        {
            if (header.Kind == MessageKind.Exited)
            {
                _exits.Writer.TryWrite(ReadExit(fields));
            }

            return;
        }

        var reply = new Reply(header.Kind, packet[MessageWriter.HeaderBytes..].ToArray(), descriptors.Count > 0 ? descriptors[0] : null);
        PendingCall? call;
        lock (_gate)
        {
            if (!_calls.TryGetValue(header.Call, out call))
            {
                throw new InvalidDataException("the supervisor answers what was not asked");
            }

            if (header.Kind is MessageKind.Running or MessageKind.Exited or MessageKind.Kept)
            {
                call.Parts.Add(reply);
                return;
            }

            _calls.Remove(header.Call);
        }

        if (header.Kind == MessageKind.Refused)
        {
            call.SetException(new SupervisorException(fields.Text()));
        }
        else
        {
            call.SetResult(reply with { Parts = call.Parts });
        }
    }

    private void End(string reason)
    {
        PendingCall[] calls;
        lock (_gate)
        {
            _isLost = true;
            _socket.Dispose();
            calls = [.. _calls.Values];
            _calls.Clear();
        }

        foreach (PendingCall call in calls)
        {
            call.SetException(new SupervisorLostException(reason));
        }

        _exits.Writer.TryComplete();
        _lost.TrySetResult();
        if (_started is not null)
        {
            // This thread has nothing else to do; a supervisor that merely was disconnected may live for long.
            using (_started)
            {
                Pidfd.Wait(_started);
            }
        }
    }

    /// <param name="Bytes">After the header.</param>
    private sealed record Reply(MessageKind Kind, ReadOnlyMemory<byte> Bytes, SafeFileHandle? Received)
    {
        public IReadOnlyList<Reply> Parts { get; init; } = [];

        public ReadOnlySpan<byte> Fields => Bytes.Span;

        /// <summary>The descriptor that must have come.</summary>
        public SafeFileHandle Descriptor() => Received ?? throw new InvalidDataException("the supervisor sent no descriptor");
    }

    private sealed class PendingCall() : TaskCompletionSource<Reply>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public List<Reply> Parts { get; } = [];
    }
}
