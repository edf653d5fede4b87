using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Storage.Layers;

/// <summary>A layer that somebody wants to add.</summary>
internal sealed record LayerRequest(Digest ChainId, Digest Parent, Digest DiffId, Descriptor Blob, Func<CancellationToken, ValueTask<Stream>> Open);

/// <summary>
/// Where layers come in. Those who want the same layer at the same time share one reading, which goes on as long as one of them is
/// left. Where a reading fails, those who did not begin it try their own source.
/// </summary>
internal sealed class LayerIntake(LayerReader reader)
{
    private readonly Dictionary<Digest, SharedReading> _readings = [];

    public async Task<Layer> AddAsync(LayerRequest request, IProgress<LayerProgress>? progress, CancellationToken cancellationToken)
    {
        while (true)
        {
            var reading = Join(request, progress, out var begun);
            try
            {
                return await reading.Result.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
#pragma warning disable CA1031 // Whatever ended another caller's reading says nothing about this caller's source.
            catch (Exception) when (!begun && !cancellationToken.IsCancellationRequested)
#pragma warning restore CA1031
            {
            }
            finally
            {
                await LeaveAsync(reading, progress).ConfigureAwait(false);
            }
        }
    }

    private SharedReading Join(LayerRequest request, IProgress<LayerProgress>? progress, out bool begun)
    {
        lock (_readings)
        {
            begun = !_readings.TryGetValue(request.ChainId, out var reading);
            if (begun)
            {
                reading = new SharedReading(request.ChainId);
                _readings.Add(request.ChainId, reading);
                reading.Begin(reader, request);
            }

            reading!.Join(progress);
            return reading;
        }
    }

    private async Task LeaveAsync(SharedReading reading, IProgress<LayerProgress>? progress)
    {
        bool last;
        lock (_readings)
        {
            last = reading.Leave(progress);
            if ((last || reading.Result.IsCompleted) && _readings.GetValueOrDefault(reading.ChainId) == reading)
            {
                _readings.Remove(reading.ChainId);
            }
        }

        if (last)
        {
            await reading.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>A reading with those who wait for it.</summary>
    private sealed class SharedReading(Digest chainId) : IProgress<LayerProgress>, IAsyncDisposable
    {
        private readonly CancellationTokenSource _abandoned = new();
        private readonly List<IProgress<LayerProgress>?> _waiting = [];
        private volatile IProgress<LayerProgress>[] _told = [];

        public Digest ChainId { get; } = chainId;

        public Task<Layer> Result { get; private set; } = null!;

        public void Begin(LayerReader reader, LayerRequest request) =>
            Result = Task.Run(() => reader.ReadAsync(request, this, _abandoned.Token), CancellationToken.None);

        public void Join(IProgress<LayerProgress>? progress)
        {
            _waiting.Add(progress);
            _told = [.. _waiting.OfType<IProgress<LayerProgress>>()];
        }

        /// <returns>Whether nobody is left.</returns>
        public bool Leave(IProgress<LayerProgress>? progress)
        {
            _waiting.Remove(progress);
            _told = [.. _waiting.OfType<IProgress<LayerProgress>>()];
            return _waiting.Count == 0;
        }

        public void Report(LayerProgress value)
        {
            foreach (var progress in _told)
            {
                progress.Report(value);
            }
        }

        /// <summary>Stops a reading that nobody waits for, and returns when it has cleaned up.</summary>
        public async ValueTask DisposeAsync()
        {
            await _abandoned.CancelAsync().ConfigureAwait(false);
            await ((Task)Result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _abandoned.Dispose();
        }
    }
}
