using Slipway.Api.Images;

namespace Slipway.Engine.Images.Progress;

/// <summary>What a client is told about one layer. May be used from any thread.</summary>
internal sealed class ProgressLine(TransferProgress progress, string id)
{
    private readonly Lock _gate = new();
    private string _status = "";
    private long _current;
    private long _total;
    private long _told;

    /// <summary>The status whose amount waits to be written; null for none.</summary>
    private string? _queued;

    /// <summary>Tells a new state, at once; the same state is told once.</summary>
    public void State(string status)
    {
        lock (_gate)
        {
            if (_status == status)
            {
                return;
            }

            _status = status;
            _told = 0;
        }

        progress.Say(new ProgressMessage { Status = status, ProgressDetail = new ProgressDetail(), Id = id });
    }

    /// <summary>Tells an amount, at most every <see cref="TransferProgress.Interval"/>, and the last of all.</summary>
    public void Amount(string status, long current, long total)
    {
        lock (_gate)
        {
            bool first = _status != status;
            (_status, _current, _total) = (status, current, total);
            bool due = first || current == total || progress.Time.GetElapsedTime(_told) >= TransferProgress.Interval;
            if (_queued == status || !due)
            {
                return;
            }

            _queued = status;
            _told = progress.Time.GetTimestamp();
        }

        progress.Say(() =>
        {
            lock (_gate)
            {
                _queued = _queued == status ? null : _queued;
                return new ProgressMessage
                {
                    Status = status,
                    ProgressDetail = new ProgressDetail { Current = _current, Total = _total },
                    Progress = ProgressBar.Text(_current, _total),
                    Id = id,
                };
            }
        });
    }
}
