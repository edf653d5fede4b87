using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Logs;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>Carries out what engines ask for: the table of processes, launches, and the news of exits. Loop thread only.</summary>
internal sealed class RequestHandler(EventLoop loop, Launcher launcher, ExitJournal journal)
{
    private const int SIGKILL = 9;

    private static readonly TimeSpan s_cancelAgain = TimeSpan.FromMilliseconds(100);

    private readonly ByteBuffer _logBatch = new();
    private readonly LogCompressor _logCompressor = new();
    private readonly byte[] _packet = new byte[ProtocolLimits.MaxPacket];
    private readonly List<EngineConnection> _engines = [];
    private readonly KeptDescriptors _kept = new();
    private readonly Dictionary<string, ContainerProcess> _processes = new(StringComparer.Ordinal);

    // Reported ones until they are acknowledged, in the order in which they were recorded.
    private readonly OrderedDictionary<string, ProcessExit> _exits = new(StringComparer.Ordinal);
    private readonly Dictionary<string, LaunchAttempt> _launching = new(StringComparer.Ordinal);
    private bool _stopping;

    /// <summary>Reports a recorded exit: to the engines that are connected now, and to later ones until it is acknowledged.</summary>
    public void Report(ProcessExit exit)
    {
        _exits[exit.Id] = exit;
        foreach (EngineConnection engine in _engines.ToArray())
        {
            if (engine.IsGreeted)
            {
                SendExit(engine, 0, exit);
            }
        }
    }

    public void Connected(EngineConnection engine) => _engines.Add(engine);

    /// <summary>What an engine has not let go of goes where it belongs: the next one does not know of it.</summary>
    public void Disconnected(EngineConnection engine)
    {
        _engines.Remove(engine);
        if (_engines.Count == 0)
        {
            foreach (ContainerProcess process in _processes.Values)
            {
                process.Release(discard: false);
            }
        }
    }

    /// <summary>At the end of the loop.</summary>
    public void DisconnectAll() => Array.ForEach(_engines.ToArray(), engine => engine.Close());

    /// <param name="descriptors">That came with the packet; owned from here on.</param>
    /// <exception cref="InvalidDataException">The engine does not speak the protocol.</exception>
    public void Handle(EngineConnection engine, MessageHeader header, ref MessageFields fields, List<SafeFileHandle> descriptors)
    {
        if (header.Kind == MessageKind.Launch)
        {
            Launch(engine, header.Call, ref fields, descriptors);
            return;
        }

        if (header.Kind == MessageKind.Keep)
        {
            Keep(engine, header.Call, fields.Text(), descriptors);
            return;
        }

        SafeFileHandle? first = descriptors.Count > 0 && header.Kind == MessageKind.Attach ? descriptors[0] : null;
        foreach (SafeFileHandle descriptor in descriptors)
        {
            if (descriptor != first)
            {
                descriptor.Dispose();
            }
        }

        switch (header.Kind)
        {
            case MessageKind.Hello:
                Greet(engine, header.Call, fields.UInt16());
                break;
            case MessageKind.Attach:
                Attach(engine, header.Call, fields.Text(), first ?? throw new InvalidDataException("an attachment without its stream"), (AttachmentFlags)fields.Byte());
                break;
            case MessageKind.Resize:
                bool resized = Find(fields.Text())?.Resize(fields.UInt16(), fields.UInt16()) ?? false;
                Reply(engine, header.Call, resized);
                break;
            case MessageKind.List:
                List(engine, header.Call);
                break;
            case MessageKind.ListKept:
                ListKept(engine, header.Call);
                break;
            case MessageKind.Acknowledge:
                Acknowledge(engine, header.Call, fields.Text());
                break;
            case MessageKind.Cancel:
                string cancelled = fields.Text();
                Reply(engine, header.Call, _launching.ContainsKey(cancelled));
                Cancel(cancelled);
                break;
            case MessageKind.Release:
                Release(engine, header.Call, fields.Text(), fields.Byte() != 0);
                break;
            case MessageKind.Shutdown:
                Reply(engine, header.Call, true);
                Shutdown();
                break;
            default:
                Refuse(engine, header.Call, $"this supervisor does not know request {(ushort)header.Kind}");
                break;
        }
    }

    private ContainerProcess? Find(string id) => _processes.TryGetValue(id, out ContainerProcess? process) && process.Exit is null ? process : null;

    private void Greet(EngineConnection engine, uint call, ushort version)
    {
        var message = new MessageWriter(_packet, MessageKind.Welcome, call);
        message.UInt16(Math.Min(version, ProtocolLimits.Version));
        message.Int32(Environment.ProcessId);
        engine.Send(message.Packet);
        engine.IsGreeted = true;
        foreach (ProcessExit exit in _exits.Values)
        {
            SendExit(engine, 0, exit);
        }
    }

    private void Launch(EngineConnection engine, uint call, ref MessageFields fields, List<SafeFileHandle> descriptors)
    {
        LaunchMessage? message = null;
        ProcessStreams? streams = null;
        JsonLogWriter? log = null;
        bool reserved = false;
        try
        {
            message = LaunchMessage.Read(ref fields, descriptors);
            if (Problem(message) is string problem)
            {
                throw new InvalidOperationException(problem);
            }

            streams = ProcessStreams.Create(message);
            log = message.Log is null ? null : new JsonLogWriter(message.Log, loop.Time, _logBatch, _logCompressor);
            Forget(message.Id);
            journal.Reserve(message.Id);
            reserved = true;
            (LaunchMessage Message, ProcessStreams Streams, JsonLogWriter? Log) launch = (message, streams, log);
            var order = new LaunchOrder(message.Plan, message.Slots, streams.Stdin, streams.Stdout, streams.Stderr);
            _launching[message.Id] = launcher.Launch(order, outcome => loop.Post(() => Launched(engine, call, launch.Message, launch.Streams, launch.Log, outcome)));
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or InvalidOperationException or UnauthorizedAccessException)
        {
            if (reserved)
            {
                journal.Release(message!.Id);
            }

            log?.Dispose();
            streams?.Dispose();
            message?.Dispose();
            Refuse(engine, call, exception.Message);
        }
    }

    private string? Problem(LaunchMessage message) =>
        _stopping ? "the supervisor is stopping"
        : message.Id.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(message.Id) > ProtocolLimits.MaxId ? "a process needs an id of at most 128 bytes"
        : System.Text.Encoding.UTF8.GetByteCount(message.ContainerId ?? "") > ProtocolLimits.MaxId ? "a container id has at most 128 bytes"
        : _processes.ContainsKey(message.Id) || _launching.ContainsKey(message.Id) ? $"process {message.Id} runs already"
        : null;

    private void Launched(EngineConnection engine, uint call, LaunchMessage launch, ProcessStreams streams, JsonLogWriter? log, LaunchOutcome outcome)
    {
        _launching.Remove(launch.Id);
        streams.CloseChildEnds();
        if (outcome.Failure is PlanFailure failure)
        {
            Abandon(launch, streams, log);
            var refusal = new MessageWriter(_packet, MessageKind.LaunchFailed, call);
            refusal.Int32(failure.Step);
            refusal.Int32(failure.StepCount);
            refusal.Int32(failure.Errno);
            refusal.Int32(failure.Signal);
            refusal.Text(failure.Description.Length <= 4096 ? failure.Description : failure.Description[..4096]);
            engine.Send(refusal.Packet);
            StopIfDone();
            return;
        }

        launch.CloseSlots();
        ContainerProcess process;
        try
        {
            process = new ContainerProcess(loop, launch, outcome.Pid, outcome.Pidfd!, streams.Ends, log, Ended);
        }
        catch (KernelException exception)
        {
            // A stream cannot be watched (a client's that is a file, say): the process must not run without supervision.
            Pidfd.SendSignal(outcome.Pidfd!, SIGKILL);
            Pidfd.Wait(outcome.Pidfd!);
            outcome.Pidfd!.Dispose();
            Abandon(launch, streams, log);
            Refuse(engine, call, exception.Message);
            StopIfDone();
            return;
        }

        _processes.Add(process.Id, process);

        // Before the reply: a process the engine knows of must be found by the next supervisor if this one is killed now.
        journal.Start(process.Id, process.ContainerId, process.Pid, ProcessStartTime.Read(process.Pid));

        var reply = new MessageWriter(_packet, MessageKind.Launched, call);
        reply.Int32(process.Pid);
        reply.Time(process.StartedAt);
        engine.Send(reply.Packet, process.Pidfd);
        if (!_engines.Contains(engine))
        {
            process.Release(discard: false);
        }

        if (_stopping)
        {
            Pidfd.SendSignal(process.Pidfd, SIGKILL);
        }
    }

    private void Abandon(LaunchMessage launch, ProcessStreams streams, JsonLogWriter? log)
    {
        journal.Release(launch.Id);
        log?.Dispose();
        streams.Dispose();
        launch.Dispose();
    }

    /// <summary>Kills a child that has not executed yet.</summary>
    private void Cancel(string id)
    {
        if (_launching.TryGetValue(id, out LaunchAttempt? attempt))
        {
            attempt.Cancel();
            loop.After(s_cancelAgain, () => Cancel(id));
        }
    }

    private void Ended(ContainerProcess process) => journal.Record(process.Exit!, () =>
    {
        process.Close();
        _processes.Remove(process.Id);
        Report(process.Exit!);
        StopIfDone();
    });

    private void Attach(EngineConnection engine, uint call, string id, SafeFileHandle stream, AttachmentFlags flags)
    {
        ContainerProcess? process = Find(id);
        if (process is null)
        {
            stream.Dispose();
            Reply(engine, call, false);
        }
        else if (FileStatus.Of(stream).Type != FileType.Socket)
        {
            stream.Dispose();
            Refuse(engine, call, "an attachment must be a socket");
        }
        else
        {
            process.Attach(stream, flags);
            Reply(engine, call, true);
        }
    }

    private void Release(EngineConnection engine, uint call, string id, bool discard)
    {
        bool found = _processes.TryGetValue(id, out ContainerProcess? process);
        process?.Release(discard);
        Reply(engine, call, found);
    }

    private void List(EngineConnection engine, uint call)
    {
        foreach (ContainerProcess process in _processes.Values)
        {
            if (process.Exit is null)
            {
                var message = new MessageWriter(_packet, MessageKind.Running, call);
                message.Text(process.Id);
                message.Text(process.ContainerId);
                message.Int32(process.Pid);
                message.Time(process.StartedAt);
                engine.Send(message.Packet, process.Pidfd);
            }
        }

        foreach (ProcessExit exit in _exits.Values)
        {
            SendExit(engine, call, exit);
        }

        engine.Send(new MessageWriter(_packet, MessageKind.ListEnd, call).Packet);
    }

    private void Keep(EngineConnection engine, uint call, string name, List<SafeFileHandle> descriptors)
    {
        if (_kept.Keep(name, descriptors) is string problem)
        {
            Refuse(engine, call, problem);
        }
        else
        {
            Reply(engine, call, true);
        }
    }

    private void ListKept(EngineConnection engine, uint call)
    {
        foreach ((string name, SafeFileHandle descriptor) in _kept.All)
        {
            var message = new MessageWriter(_packet, MessageKind.Kept, call);
            message.Text(name);
            engine.Send(message.Packet, descriptor);
        }

        engine.Send(new MessageWriter(_packet, MessageKind.ListEnd, call).Packet);
    }

    private void Acknowledge(EngineConnection engine, uint call, string id)
    {
        Reply(engine, call, Forget(id));
    }

    /// <summary>An exit is forgotten when it is acknowledged, or when an engine that knows of it launches the process again.</summary>
    private bool Forget(string id)
    {
        bool known = _exits.Remove(id);
        if (known)
        {
            journal.Release(id);
        }

        return known;
    }

    private void Shutdown()
    {
        _stopping = true;
        foreach (ContainerProcess process in _processes.Values)
        {
            process.Release(discard: false);
            if (process.Exit is null)
            {
                Pidfd.SendSignal(process.Pidfd, SIGKILL);
            }
        }

        foreach (string id in _launching.Keys)
        {
            Cancel(id);
        }

        StopIfDone();
    }

    private void StopIfDone()
    {
        if (_stopping && _processes.Count == 0 && _launching.Count == 0)
        {
            loop.Stop();
        }
    }

    private void SendExit(EngineConnection engine, uint call, ProcessExit exit)
    {
        var message = new MessageWriter(_packet, MessageKind.Exited, call);
        message.Text(exit.Id);
        message.Text(exit.ContainerId);
        message.Int32(exit.ExitCode);
        message.Int32(exit.Signal);
        message.Time(exit.ExitedAt);
        engine.Send(message.Packet);
    }

    private void Reply(EngineConnection engine, uint call, bool done)
    {
        var message = new MessageWriter(_packet, MessageKind.Done, call);
        message.Byte(done ? (byte)1 : (byte)0);
        engine.Send(message.Packet);
    }

    /// <summary>Answers a call that cannot be carried out.</summary>
    public void Refuse(EngineConnection engine, uint call, string reason)
    {
        var message = new MessageWriter(_packet, MessageKind.Refused, call);
        message.Text(reason.Length <= 4096 ? reason : reason[..4096]);
        engine.Send(message.Packet);
    }
}
