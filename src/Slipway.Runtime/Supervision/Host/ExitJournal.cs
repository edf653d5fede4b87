using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Streams;
using Slipway.Kernel.Threading;
using Slipway.Runtime.Supervision.Protocol;

namespace Slipway.Runtime.Supervision.Host;

/// <summary>What the journal knows of a process. <see cref="Exit"/> is null while it runs.</summary>
/// <param name="StartTime">Field 22 of /proc/PID/stat: with the pid it names a process for good until the next boot.</param>
internal sealed record JournalEntry(string Id, string? ContainerId, int Pid, ulong StartTime, ProcessExit? Exit);

/// <summary>
/// Processes and their exits, durably: <c>exits</c> in the supervisor's data directory. A slot is taken when a process is launched, so a
/// disk that is full later cannot prevent the record of its exit.
/// </summary>
/// <remarks>
/// The file: a block of 4096 bytes (magic, version, boot id), then slots of 512 bytes, a disk sector, which is written whole or not at all.
/// Exits of containers are synced (fdatasync) by a thread of the journal's own, those that come together by one call. Exits of execs are
/// written but not synced: an exec does not outlive a loss of power in any engine. All other members belong to the loop's thread.
/// </remarks>
internal sealed class ExitJournal : IDisposable
{
    private const ulong Magic = 0x4A78456E77706C53;
    private const uint Version = 1;
    private const int HeaderBytes = 4096;
    private const int SlotBytes = 512;
    private const int GrowBy = 64;

    private readonly SafeFileHandle _file;
    private readonly EventLoop _loop;
    private readonly Stack<int> _free = new();
    private readonly Dictionary<string, int> _slots = new(StringComparer.Ordinal);
    private readonly byte[] _slot = new byte[SlotBytes];
    private readonly WaitQueue<Action> _toSync = new();
    private readonly Thread _syncer;
    private int _slotCount;

    /// <param name="bootId">/proc/sys/kernel/random/boot_id.</param>
    /// <exception cref="InvalidDataException">Not a journal, or one of another version.</exception>
    public ExitJournal(HostPath directory, string bootId, EventLoop loop)
    {
        _loop = loop;
        directory.CreateDirectories(0x1C0);
        _file = (directory / "exits").Open(OpenFlags.ReadWrite | OpenFlags.Create, 0x180);
        Recovered = Load(bootId);
        _syncer = new Thread(SyncRecords, 128 * 1024) { IsBackground = true, Name = "exit journal" };
        _syncer.Start();
    }

    /// <summary>What an earlier supervisor left: exits nobody acknowledged, and processes it had when it ended.</summary>
    public IReadOnlyList<JournalEntry> Recovered { get; }

    /// <summary>Whether the machine has booted since: then nothing of what ran is left.</summary>
    public bool IsFromEarlierBoot { get; private set; }

    /// <summary>Takes a slot for a process.</summary>
    /// <exception cref="IOException">The disk is full.</exception>
    public void Reserve(string id)
    {
        if (_free.Count == 0)
        {
            Grow();
        }

        _slots.Add(id, _free.Pop());
    }

    /// <summary>Writes that a process runs.</summary>
    public void Start(string id, string? containerId, int pid, ulong startTime) => Write(new JournalEntry(id, containerId, pid, startTime, null));

    /// <summary>Writes an exit, and calls <paramref name="recorded"/> on the loop once it is durable.</summary>
    public void Record(ProcessExit exit, Action recorded)
    {
        Write(new JournalEntry(exit.Id, exit.ContainerId, 0, 0, exit));
        if (exit.ContainerId is not null)
        {
            recorded();
            return;
        }

        _toSync.TryAdd(recorded);
    }

    /// <summary>Forgets a process.</summary>
    public void Release(string id)
    {
        if (_slots.Remove(id, out int slot))
        {
            _slot.AsSpan().Clear();
            WriteSlot(slot);
            _free.Push(slot);
        }
    }

    public void Dispose()
    {
        _toSync.Complete();
        _syncer.Join();
        _file.Dispose();
    }

    private static long Offset(int slot) => HeaderBytes + ((long)slot * SlotBytes);

    private List<JournalEntry> Load(string bootId)
    {
        List<JournalEntry> entries = [];
        byte[] header = new byte[HeaderBytes];
        if (RandomAccess.GetLength(_file) >= HeaderBytes && RandomAccess.Read(_file, header, 0) == HeaderBytes)
        {
            if (BinaryPrimitives.ReadUInt64LittleEndian(header) != Magic || BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8)) != Version)
            {
                throw new InvalidDataException("the exit journal is damaged or of another version");
            }

            IsFromEarlierBoot = new MessageFields(header.AsSpan(16)).Text() != bootId;
            _slotCount = (int)((RandomAccess.GetLength(_file) - HeaderBytes) / SlotBytes);
            for (int slot = _slotCount - 1; slot >= 0; slot--)
            {
                if (RandomAccess.Read(_file, _slot, Offset(slot)) == SlotBytes && Parse(_slot) is JournalEntry entry && _slots.TryAdd(entry.Id, slot))
                {
                    entries.Add(entry);
                }
                else
                {
                    _free.Push(slot);
                }
            }
        }

        header.AsSpan().Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(header, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), Version);
        WriteText(header.AsSpan(16), bootId);
        RandomAccess.Write(_file, header, 0);
        entries.Sort((left, right) => Nullable.Compare(left.Exit?.ExitedAt, right.Exit?.ExitedAt));
        return entries;
    }

    /// <summary>Writes zeros, so that the blocks are there when they are needed.</summary>
    private void Grow()
    {
        RandomAccess.Write(_file, new byte[GrowBy * SlotBytes], Offset(_slotCount));
        for (int i = GrowBy - 1; i >= 0; i--)
        {
            _free.Push(_slotCount + i);
        }

        _slotCount += GrowBy;
    }

    /// <remarks>state u8 (0 free, 1 runs, 2 ended), id, container id, pid i32, start time u64, code i32, signal i32, time i64.</remarks>
    private void Write(JournalEntry entry)
    {
        Span<byte> slot = _slot;
        slot.Clear();
        slot[0] = entry.Exit is null ? (byte)1 : (byte)2;
        int at = 1;
        at += WriteText(slot[at..], entry.Id);
        at += WriteText(slot[at..], entry.ContainerId ?? "");
        BinaryPrimitives.WriteInt32LittleEndian(slot[at..], entry.Pid);
        BinaryPrimitives.WriteUInt64LittleEndian(slot[(at + 4)..], entry.StartTime);
        BinaryPrimitives.WriteInt32LittleEndian(slot[(at + 12)..], entry.Exit?.ExitCode ?? 0);
        BinaryPrimitives.WriteInt32LittleEndian(slot[(at + 16)..], entry.Exit?.Signal ?? 0);
        BinaryPrimitives.WriteInt64LittleEndian(slot[(at + 20)..], entry.Exit?.ExitedAt.UtcTicks ?? 0);
        WriteSlot(_slots[entry.Id]);
    }

    /// <summary>A disk that fails must not keep processes from being served and reported; its blocks are there, so it cannot be full.</summary>
    private void WriteSlot(int slot)
    {
        try
        {
            RandomAccess.Write(_file, _slot, Offset(slot));
        }
        catch (IOException exception)
        {
            Console.Error.WriteLine($"exit journal: {exception.Message}");
        }
    }

    private static JournalEntry? Parse(ReadOnlySpan<byte> slot)
    {
        try
        {
            if (slot[0] is not (1 or 2))
            {
                return null;
            }

            var fields = new MessageFields(slot[1..]);
            string id = fields.Text();
            string? containerId = fields.OptionalText();
            int pid = fields.Int32();
            ulong startTime = (ulong)fields.Int64();
            ProcessExit exit = new(id, containerId, fields.Int32(), fields.Int32(), fields.Time());
            return new JournalEntry(id, containerId, pid, startTime, slot[0] == 2 ? exit : null);
        }
        catch (InvalidDataException)
        {
            // A sector that was being written when the power went: its process was not reported, and it is not running.
            return null;
        }
    }

    private static int WriteText(Span<byte> target, string text)
    {
        int length = Encoding.UTF8.GetBytes(text, target[2..]);
        BinaryPrimitives.WriteUInt16LittleEndian(target, (ushort)length);
        return 2 + length;
    }

    private void SyncRecords()
    {
        while (_toSync.TryTakeAll(out Action[] recorded))
        {
            Sync();
            _loop.Post(() => Array.ForEach(recorded, action => action()));
        }
    }

    /// <summary>As <see cref="WriteSlot"/>: the record is in the page cache then.</summary>
    private void Sync()
    {
        try
        {
            DescriptorIO.SyncData(_file);
        }
        catch (KernelException exception)
        {
            Console.Error.WriteLine($"exit journal: {exception.Message}");
        }
    }
}
