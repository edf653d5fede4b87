using System.Text;
using System.Threading.Channels;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.Threading;

namespace Slipway.BuildKit.Files;

/// <summary>The sending side of fsutil's protocol: lists a tree, then sends the content of what the receiver asks for, in the order it asks.</summary>
public sealed class FileSender : TreeWalk, IDisposable
{
    private const int MaxDepth = 1024;

    /// <summary>Bytes of content in one packet.</summary>
    private const int Chunk = 32 * 1024;

    /// <summary>Packets ahead of the connection.</summary>
    private const int Ahead = 64;

    private readonly RootDirectory _root;
    private readonly FileSelection _selection;
    private readonly Action<string, long> _sent;
    private readonly byte[] _folder;
    private readonly List<(byte[] Path, FileStat Stat)> _passed = [];
    private readonly List<byte[]> _paths = [];
    private readonly Dictionary<(DeviceNumber, ulong), byte[]> _linked = [];
    private readonly Channel<FilePacket> _outgoing = Channel.CreateBounded<FilePacket>(Ahead);
    private readonly SemaphoreSlim _room = new(Ahead);
    private readonly CancellationToken _cancellationToken;

    private FileSender(SafeFileHandle root, string folder, FileSelection selection, Action<string, long> sent, CancellationToken cancellationToken)
        : base(MaxDepth)
    {
        (_selection, _sent, _folder) = (selection, sent, Encoding.UTF8.GetBytes(folder));
        _root = new RootDirectory(Descriptors.Duplicate(root));
        _cancellationToken = cancellationToken;
    }

    /// <summary>Sends all files below a directory.</summary>
    /// <param name="folder">Of the receiver's that they go to; empty: its root.</param>
    /// <param name="open">Makes the call, which ends with its token.</param>
    /// <exception cref="GrpcException">The receiver's error.</exception>
    public static async Task SendAsync(Func<CancellationToken, Task<GrpcStream<FilePacket>>> open, SafeFileHandle root, string folder, CancellationToken cancellationToken)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using GrpcStream<FilePacket> stream = await open(end.Token);
        await SendAsync(new OwnCall(stream), root, folder, FileSelection.All, static (_, _) => { }, end);
    }

    /// <summary>Sends files below a directory to who has called for them.</summary>
    /// <param name="sent">Told of each file whose content went out, with its bytes, from a thread.</param>
    /// <exception cref="GrpcException">The receiver's error.</exception>
    public static async Task SendAsync(GrpcCall call, SafeFileHandle root, FileSelection selection, Action<string, long> sent, CancellationToken cancellationToken)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, call.Cancelled);
        await SendAsync(new TakenCall(call), root, "", selection, sent, end);
    }

    private static async Task SendAsync(IPackets stream, SafeFileHandle root, string folder, FileSelection selection, Action<string, long> sent, CancellationTokenSource end)
    {
        using FileSender sender = new(root, folder, selection, sent, end.Token);
        Task writing = sender.WriteAsync(stream);
        _ = writing.ContinueWith(static (_, end) => ((CancellationTokenSource)end!).Cancel(), end, CancellationToken.None,
            TaskContinuationOptions.NotOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await RunAsync("files-listing", () => sender.List(root));
            while (await stream.ReadAsync() is { } packet)
            {
                switch (packet.Kind)
                {
                    case FilePacket.Types.Kind.Request when packet.Id < sender._paths.Count:
                        await RunAsync("files-sending", () => sender.Send(packet.Id));
                        break;
                    case FilePacket.Types.Kind.Finished:
                        await sender._outgoing.Writer.WriteAsync(new FilePacket { Kind = FilePacket.Types.Kind.Finished }, end.Token);
                        sender._outgoing.Writer.Complete();
                        await writing;

                        // The receiver reads on until our side has ended.
                        await stream.CompleteAsync();
                        break;
                    case FilePacket.Types.Kind.Failed:
                        throw new GrpcException(GrpcStatusCode.Unknown, $"error from receiver: {packet.Data.ToStringUtf8()}");
                    default:
                        throw new GrpcException(GrpcStatusCode.InvalidArgument, $"a packet of kind {(int)packet.Kind} came out of turn");
                }
            }

            await writing;
        }
        catch (OperationCanceledException) when (writing.IsFaulted)
        {
            await writing;
        }
        finally
        {
            await end.CancelAsync();
            await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose()
    {
        _root.Dispose();
        _room.Dispose();
    }

    protected override bool Enter(in WalkedFile directory)
    {
        switch (_selection.Choose(Encoding.UTF8.GetString(directory.Path), isDirectory: true))
        {
            case FileChoice.Take:
                Add(directory, StatOf(directory));
                return true;
            case FileChoice.Look:
                _passed.Add((directory.Path.ToArray(), StatOf(directory)));
                return true;
            default:
                return false;
        }
    }

    protected override void Leave(in WalkedFile directory)
    {
        if (_passed.Count > 0 && directory.Path.SequenceEqual(_passed[^1].Path))
        {
            _passed.RemoveAt(_passed.Count - 1);
        }
    }

    protected override void Visit(in WalkedFile file)
    {
        if (file.Status.Type == FileType.Socket || _selection.Choose(Encoding.UTF8.GetString(file.Path), isDirectory: false) != FileChoice.Take)
        {
            return;
        }

        FileStat stat = StatOf(file);
        if (file.Status.IsSymbolicLink)
        {
            stat.Link = ByteString.CopyFrom(DirectoryEntry.ReadLink(file.Directory, file.Name));
        }
        else if (file.Status is { IsRegularFile: true, LinkCount: > 1 } && !_linked.TryAdd((file.Status.Device, file.Status.Inode), file.Path.ToArray()))
        {
            stat.Link = ByteString.CopyFrom(Shown(_linked[(file.Status.Device, file.Status.Inode)]));
            stat.Size = 0;
        }

        Add(file, stat);
    }

    private static FileStat StatOf(in WalkedFile file)
    {
        FileStat stat = new()
        {
            Mode = FileModes.Of(file.Status),
            Uid = file.Status.UserId,
            Gid = file.Status.GroupId,
            Size = file.Status.IsRegularFile ? file.Status.Size : 0,
            Modified = (file.Status.ModificationTime.Seconds * 1_000_000_000) + file.Status.ModificationTime.Nanoseconds,
            DeviceMajor = file.Status.SpecialDevice.Major,
            DeviceMinor = file.Status.SpecialDevice.Minor,
        };
        if (!file.Status.IsSymbolicLink)
        {
            AddAttributes(file, stat);
        }

        return stat;
    }

    /// <summary>Those that a receiver takes.</summary>
    private static void AddAttributes(in WalkedFile file, FileStat stat)
    {
        foreach (byte[] name in ExtendedAttributes.List(file.Directory, file.Name))
        {
            if ((name.AsSpan().StartsWith("user."u8) || name.AsSpan().SequenceEqual("security.capability"u8))
                && ExtendedAttributes.Get(file.Directory, file.Name, name) is { } value)
            {
                stat.Attributes[Encoding.UTF8.GetString(name)] = ByteString.CopyFrom(value);
            }
        }
    }

    private static Task<bool> RunAsync(string thread, Action work) => WorkerThread.RunAsync(thread, () =>
    {
        work();
        return true;
    });

    private void List(SafeFileHandle root)
    {
        using SafeFileHandle open = Descriptors.Reopen(root, OpenFlags.ReadOnly | OpenFlags.Directory);
        if (_folder.Length > 0)
        {
            Add([], new FileStat { Mode = FileModes.Of(FileStatus.Of(open)) });
        }

        Walk(open, _cancellationToken);
        Put(new FilePacket { Kind = FilePacket.Types.Kind.Stat });
    }

    private void Add(in WalkedFile file, FileStat stat)
    {
        foreach ((byte[] path, FileStat directory) in _passed)
        {
            Add(path, directory);
        }

        _passed.Clear();
        Add(file.Path.ToArray(), stat);
    }

    private void Add(byte[] path, FileStat stat)
    {
        _paths.Add(path);
        stat.Path = ByteString.CopyFrom(Shown(path));
        Put(new FilePacket { Kind = FilePacket.Types.Kind.Stat, Stat = stat });
    }

    /// <summary>A path as the receiver has it.</summary>
    private byte[] Shown(byte[] path) => _folder.Length == 0 ? path : path.Length == 0 ? _folder : [.. _folder, (byte)'/', .. path];

    private void Send(uint id)
    {
        using SafeFileHandle place = _root.Open(_paths[(int)id], OpenFlags.Path | OpenFlags.NoFollow, resolution: Resolution.Canonical);
        if (!FileStatus.Of(place).IsRegularFile)
        {
            throw new KernelException($"read \"{new PathName(_paths[(int)id]).ToString()}\", which is no regular file", Errno.EINVAL);
        }

        using SafeFileHandle file = Descriptors.Reopen(place, OpenFlags.ReadOnly);
        for (long offset = 0; ;)
        {
            byte[] buffer = new byte[Chunk];
            int count = Descriptors.ReadAt(file, buffer, offset);
            offset += count;
            Put(new FilePacket { Kind = FilePacket.Types.Kind.Data, Id = id, Data = UnsafeByteOperations.UnsafeWrap(buffer.AsMemory(0, count)) });
            if (count == 0)
            {
                _sent(Encoding.UTF8.GetString(_paths[(int)id]), offset);
                return;
            }
        }
    }

    /// <summary>Hands a packet over, as soon as there is room.</summary>
    private void Put(FilePacket packet)
    {
        _room.Wait(_cancellationToken);
        _outgoing.Writer.TryWrite(packet);
    }

    private async Task WriteAsync(IPackets stream)
    {
        await foreach (FilePacket packet in _outgoing.Reader.ReadAllAsync(_cancellationToken))
        {
            await stream.WriteAsync(packet);
            if (packet.Kind is FilePacket.Types.Kind.Stat or FilePacket.Types.Kind.Data)
            {
                _room.Release();
            }
        }
    }

    /// <summary>A call over which packets go both ways.</summary>
    private interface IPackets
    {
        Task WriteAsync(FilePacket packet);

        Task<FilePacket?> ReadAsync();

        Task CompleteAsync();
    }

    private sealed class OwnCall(GrpcStream<FilePacket> stream) : IPackets
    {
        public Task WriteAsync(FilePacket packet) => stream.WriteAsync(packet);

        public Task<FilePacket?> ReadAsync() => stream.ReadAsync();

        public Task CompleteAsync() => stream.CompleteAsync();
    }

    /// <summary>Our side of it ends when its method returns.</summary>
    private sealed class TakenCall(GrpcCall call) : IPackets
    {
        public Task WriteAsync(FilePacket packet) => call.WriteAsync(packet);

        public Task<FilePacket?> ReadAsync() => call.ReadAsync(FilePacket.Parser).AsTask();

        public Task CompleteAsync() => Task.CompletedTask;
    }
}
