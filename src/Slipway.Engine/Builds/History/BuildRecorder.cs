using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci;

namespace Slipway.Engine.Builds.History;

/// <summary>Writes down what a build tells, and passes it on.</summary>
/// <param name="log">It is the recorder's; null: there is no room for one.</param>
internal sealed class BuildRecorder(BuildRecord begun, IBuildProgress progress, SafeFileHandle? log, long limit) : IBuildProgress, IDisposable
{
    /// <summary>The longest entry that is kept: an instruction may be as long as a client likes.</summary>
    public const int MaxEntry = 1 << 20;

    private readonly Lock _gate = new();
    private readonly HashSet<Digest> _completed = [];
    private readonly Dictionary<Digest, int> _triggers = [];
    private SafeFileHandle? _log = log;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private BuildRecord _record = begun;
    private bool _isClipped;

    /// <summary>As far as the build has come.</summary>
    public BuildRecord Record => Volatile.Read(ref _record);

    /// <summary>What was written so far: whole entries, whether there is more to come, and what ends when there is.</summary>
    public (long Length, bool IsEnded, Task Changed) Written
    {
        get
        {
            lock (_gate)
            {
                return (Length, IsEnded, _changed.Task);
            }
        }
    }

    private long Length { get; set; }

    private bool IsEnded { get; set; }

    public ValueTask VertexAsync(BuildVertex vertex)
    {
        lock (_gate)
        {
            Count(vertex);
        }

        Append(new BuildLogEntry { Vertex = vertex });
        return progress.VertexAsync(vertex);
    }

    public ValueTask LogAsync(BuildLog log)
    {
        Append(new BuildLogEntry { Log = log });
        return progress.LogAsync(log);
    }

    public ValueTask StatusAsync(BuildStatus status)
    {
        // How far something is at the moment is of no interest later.
        if (status.Completed is not null)
        {
            Append(new BuildLogEntry { Status = status });
        }

        return progress.StatusAsync(status);
    }

    public ValueTask WarningAsync(BuildWarning warning)
    {
        lock (_gate)
        {
            _record = _record with { Warnings = _record.Warnings + 1 };
        }

        Append(new BuildLogEntry { Warning = warning });
        return progress.WarningAsync(warning);
    }

    /// <summary>Nothing more comes.</summary>
    public void End(BuildRecord record)
    {
        lock (_gate)
        {
            (_record, IsEnded) = (record, true);
            _changed.TrySetResult();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _log?.Dispose();
            _log = null;
        }
    }

    private void Count(BuildVertex vertex)
    {
        if (vertex.Step is not { } step)
        {
            return;
        }

        if (step.Triggers > 0)
        {
            _triggers[vertex.Digest] = step.Triggers;
        }

        bool isNew = vertex.Completed is not null && vertex.Error.Length == 0 && _completed.Add(vertex.Digest);
        _record = _record with
        {
            TotalSteps = step.Count + _triggers.Values.Sum(),
            CompletedSteps = _completed.Count,
            CachedSteps = _record.CachedSteps + (isNew && vertex.Cached ? 1 : 0),
        };
    }

    /// <summary>Output is cut where it is too much; what was done is written down all the same, within reason.</summary>
    private void Append(BuildLogEntry entry)
    {
        byte[] line = entry.ToLine();
        lock (_gate)
        {
            if (_log is null || line.Length > MaxEntry)
            {
                return;
            }

            if (Length + line.Length > (entry.Log is null ? 2 * limit : limit))
            {
                if (entry.Log is null || _isClipped)
                {
                    return;
                }

                _isClipped = true;
                line = new BuildLogEntry { Log = entry.Log with { Data = "[output clipped: the log of this build has reached its limit]\n"u8.ToArray() } }.ToLine();
            }

            try
            {
                Descriptors.WriteAt(_log, line, Length);
                Length += line.Length;
            }
            catch (KernelException)
            {
                // The disk is full: the build may find room for what it makes, and goes on without a log.
                _log.Dispose();
                _log = null;
            }

            TaskCompletionSource changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            changed.TrySetResult();
        }
    }
}
