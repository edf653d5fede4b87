using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Streams;
using Slipway.Runtime.Supervision;

namespace Slipway.Runtime.Logs;

/// <summary>
/// Writes Docker's json-file log and rotates it. No byte is lost unless that is asked for (<see cref="LogTarget.DropBeyond"/>): what the disk does not
/// take stays in memory, and <see cref="IsBlocked"/> asks the caller to stop reading the process' output until <see cref="Flush"/> has written it.
/// One thread only.
/// </summary>
/// <remarks>
/// A batch of records is one write(2). The file is rotated before the record that would be written at or beyond
/// <see cref="LogTarget.MaxSize"/>, so a file exceeds it by less than a record, as dockerd's do. Old files are renamed; the current one is
/// replaced, never truncated, so a reader that holds it loses nothing.
/// </remarks>
internal sealed class JsonLogWriter : IDisposable
{
    private readonly LogTarget _target;
    private readonly LogFileSet _files;
    private readonly TimeProvider _time;
    private readonly ByteBuffer _batch;
    private readonly LogCompressor? _compressor;
    private readonly byte[] _attributes;
    private readonly ByteBuffer _backlog = new();
    private readonly LineSplitter _stdout = new(LogStream.Stdout);
    private readonly LineSplitter _stderr = new(LogStream.Stderr);
    private readonly LineSplitter.Sink _sink;
    private SafeFileHandle _file;
    private long _size;
    private DateTimeOffset _now;

    /// <param name="batch">Scratch memory, which writers of one thread share; empty between calls.</param>
    /// <param name="compressor">Who compresses rotated files, where that is asked for.</param>
    /// <exception cref="KernelException">The file cannot be opened.</exception>
    public JsonLogWriter(LogTarget target, TimeProvider time, ByteBuffer batch, LogCompressor? compressor = null)
    {
        _compressor = target.Compress ? compressor : null;
        _attributes = Encoding.UTF8.GetBytes(target.Attributes);
        _target = target;
        _time = time;
        _batch = batch;
        _sink = Record;
        _files = new LogFileSet(target.Path);
        _file = _files.OpenAppend();
        _size = RandomAccess.GetLength(_file);
        EndTornLine();
    }

    /// <summary>The disk took less than was logged.</summary>
    public bool HasBacklog => _backlog.Length > 0;

    /// <summary>Nothing more must be logged before <see cref="Flush"/> has written what waits.</summary>
    public bool IsBlocked => HasBacklog && _target.DropBeyond is null;

    /// <summary>Logs what was read from a stream now.</summary>
    public void Append(LogStream stream, ReadOnlySpan<byte> data)
    {
        _now = _time.GetUtcNow();
        (stream == LogStream.Stdout ? _stdout : _stderr).Split(data, _sink);
        WriteBatch();
    }

    /// <summary>Logs the unfinished last lines, at the end of the process.</summary>
    public void Finish()
    {
        _now = _time.GetUtcNow();
        _stdout.Finish(_sink);
        _stderr.Finish(_sink);
        WriteBatch();
    }

    /// <summary>Tries again to write what is held back. True where nothing is left.</summary>
    public bool Flush()
    {
        if (_backlog.Length > 0)
        {
            _backlog.Consume(WriteSome(_backlog.Written));
            _backlog.TrimIfEmpty();
        }

        return !HasBacklog;
    }

    public void Dispose() => _file.Dispose();

    private void Record(LogStream stream, ReadOnlySpan<byte> text, bool newline)
    {
        if (_target.MaxSize > 0 && _size + _batch.Length >= _target.MaxSize)
        {
            WriteBatch();
            if (!HasBacklog)
            {
                Rotate();
            }
        }

        JsonLogFormat.WriteRecord(_batch, stream, text, newline, _now, _attributes);
    }

    private void WriteBatch()
    {
        // What waits goes first, or records would change places.
        if (Flush())
        {
            _batch.Consume(WriteSome(_batch.Written));
            _backlog.Append(_batch.Written);
        }
        else if (!(_backlog.Length + _batch.Length > _target.DropBeyond))
        {
            // Else they are dropped: whole records, the newest, as dockerd's ring does.
            _backlog.Append(_batch.Written);
        }

        _batch.Clear();
    }

    /// <returns>How much the disk took. ENOSPC, EDQUOT and EIO are the caller's to wait out.</returns>
    private int WriteSome(ReadOnlySpan<byte> bytes)
    {
        int taken = 0;
        while (taken < bytes.Length)
        {
            int count = DescriptorIO.Write(_file, bytes[taken..]);
            if (count <= 0)
            {
                break;
            }

            taken += count;
        }

        _size += taken;
        return taken;
    }

    private void Rotate()
    {
        SafeFileHandle fresh;
        try
        {
            _files.Rotate(_target.MaxFiles);
            fresh = _files.OpenAppend();
        }
        catch (KernelException)
        {
            // Logging goes on in the file that is open; the next record tries again.
            return;
        }

        _file.Dispose();
        _file = fresh;
        _size = RandomAccess.GetLength(_file);
        _compressor?.Compress(_files);
    }

    /// <summary>A writer that was killed may have left a line without its end; what follows must not continue it.</summary>
    private void EndTornLine()
    {
        if (_size == 0)
        {
            return;
        }

        using LogFile? reader = _files.TryOpenRead(0);
        Span<byte> last = stackalloc byte[1];
        if (reader is not null && RandomAccess.Read(reader.Handle, last, _size - 1) == 1 && last[0] != (byte)'\n')
        {
            _backlog.Append((byte)'\n');
            Flush();
        }
    }
}
