using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server.Upstream;

/// <summary>
/// A blob that is being fetched, for readers that follow it. Its last byte is kept back until the whole has been verified: an answer that
/// turns out to be wrong is cut off and never whole.
/// </summary>
/// <param name="length">Bytes, as a manifest says.</param>
internal sealed class IncomingBlob(long length)
{
    /// <summary>Smaller ones are waited for: an error is then an error of its own and not an answer that was cut off.</summary>
    private const long WorthFollowing = 1 << 20;

    private readonly Lock _gate = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SafeFileHandle? _file;
    private Exception? _failure;
    private long _received;
    private bool _ended;

    /// <summary>The first bytes are about to come.</summary>
    /// <param name="file">Where they go; owned from now on.</param>
    public void Begin(SafeFileHandle file) => Change(() => _file = file);

    /// <param name="received">Bytes from the beginning.</param>
    public void Advance(long received) => Change(() => _received = received);

    /// <summary>It was kept as a blob, or not.</summary>
    /// <param name="failure">Null where it was.</param>
    public void End(Exception? failure) => Change(() =>
    {
        (_ended, _failure) = (true, failure);
        _file?.Dispose();
    });

    /// <returns>Null once it is there like any other blob.</returns>
    /// <exception cref="Exception">Why it could not be fetched.</exception>
    public async ValueTask<BlobContent?> OpenAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (_ended)
                {
                    return _failure is null ? null : throw _failure;
                }

                if (_file is not null && length >= WorthFollowing)
                {
                    return new Content(this, Descriptors.Duplicate(_file), length);
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    private async ValueTask<long> WaitAsync(long count, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (_ended)
                {
                    return _failure is null ? length : throw _failure;
                }

                long there = Math.Min(_received, length - 1);
                if (there > count)
                {
                    return there;
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken);
        }
    }

    private void Change(Action change)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            change();
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }

    private sealed class Content(IncomingBlob incoming, SafeFileHandle file, long length) : BlobContent(file, length)
    {
        public override bool IsComplete => false;

        public override ValueTask<long> WaitAsync(long count, CancellationToken cancellationToken) => incoming.WaitAsync(count, cancellationToken);
    }
}
