using Slipway.Api.Containers;
using Slipway.Engine.Containers.Listing;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

internal sealed partial class ContainerService
{
    public IReadOnlyList<ContainerSummary> List(ContainerListOptions options)
    {
        ContainerFilter filter = new(options.Filters, _index, _services.Data.Images);
        List<ContainerSnapshot> found = [.. _index.All
            .Select(container => container.Snapshot)
            .Where(container => (options.All || options.Limit > 0 || filter.NamesStates || container.State.IsRunning) && filter.Includes(container))];
        found.Sort(static (left, right) => right.Created.CompareTo(left.Created) is var order and not 0 ? order : string.CompareOrdinal(right.Id, left.Id));
        Summary summary = new(_services, _links.Names());
        return [.. found.Take(options.Limit > 0 ? options.Limit : found.Count).Select(container => summary.Of(container, options.Size))];
    }

    public ContainerInspect Inspect(string reference, bool size) => new Inspection(_services, _links).Of(_index.Resolve(reference).Snapshot, size, ExecIds?.Invoke(_index.Resolve(reference).Id));

    /// <summary>Ids of the execs of a container, or null where there are none.</summary>
    internal Func<string, List<string>?>? ExecIds { get; set; }
}
