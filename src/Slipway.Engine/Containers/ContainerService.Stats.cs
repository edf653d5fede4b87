using System.Runtime.CompilerServices;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Stats;
using Slipway.Engine.Daemon;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    private static readonly TimeSpan StatsInterval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Between the two samples of an answer that is not a stream. Docker's are a second apart, because its clock counts in ticks of
    /// 10 ms; ours counts in nanoseconds.
    /// </summary>
    private static readonly TimeSpan StatsWindow = TimeSpan.FromMilliseconds(250);

    private readonly Lazy<ulong> _hostMemory = new(() => (ulong)HostFacts.MemoryTotal(File.ReadLines("/proc/meminfo")));

    public IAsyncEnumerable<ContainerStats> Stats(string reference, StatsOptions options, CancellationToken cancellationToken)
    {
        if (options is { Stream: true, OneShot: true })
        {
            throw ContainerErrors.Invalid("cannot have stream=true and one-shot=true");
        }

        return SampleAsync(_index.Resolve(reference), options, cancellationToken);
    }

    private async IAsyncEnumerable<ContainerStats> SampleAsync(Container container, StatsOptions options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        StatsReader reader = new(_services, _host.OnlineCpuCount, _hostMemory.Value);
        CpuSample? before = null;
        if (options is { Stream: false, OneShot: false } && container.Snapshot.State.IsLive)
        {
            before = reader.ReadCpu(container.Snapshot);
            await Task.Delay(StatsWindow, _services.Time, cancellationToken);
        }

        while (true)
        {
            ContainerStats sample = reader.Read(container.Snapshot, before);
            before = CpuSample.Of(sample);
            yield return sample;
            if (!options.Stream)
            {
                yield break;
            }

            await Task.Delay(StatsInterval, _services.Time, cancellationToken);
            if (_index.Find(container.Id) is null)
            {
                yield break;
            }
        }
    }
}
