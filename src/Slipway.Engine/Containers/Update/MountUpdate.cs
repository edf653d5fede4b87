using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Update;

/// <summary>Which mounts an update adds to a container and which it takes away, and what its configuration then says.</summary>
/// <param name="Added">Parents first.</param>
/// <param name="Removed">Children first.</param>
/// <param name="Judged">The volumes that names stand for; null: whichever have them.</param>
internal sealed record MountUpdate(IReadOnlyList<ContainerMount> Added, IReadOnlyList<ContainerMount> Removed, JudgedObjects? Judged)
{
    public bool IsEmpty => Added.Count + Removed.Count == 0;

    /// <exception cref="EngineException">InvalidParameter: such a mount cannot be; NotFound: there is no mount to take away.</exception>
    public static MountUpdate Of(ContainerSnapshot container, ContainerUpdateRequest change, MountLookups lookups)
    {
        List<ContainerMount> removed = [];
        foreach (string destination in change.MountsRemove ?? [])
        {
            string normal = MountPaths.Normalize(destination);
            removed.Add(container.Mounts.FirstOrDefault(mount => mount.Destination == normal)
                ?? throw new EngineException(ErrorKind.InvalidParameter, $"nothing is mounted on {destination}"));
        }

        IReadOnlyList<ContainerMount> added = MountSpecs.Resolve(new ContainerConfig(), new HostConfig { Mounts = change.MountsAdd }, lookups);
        foreach (ContainerMount mount in added)
        {
            if (container.Mounts.Any(other => other.Destination == mount.Destination) && removed.All(other => other.Destination != mount.Destination))
            {
                throw ContainerErrors.Invalid($"Duplicate mount point: {mount.Destination}");
            }
        }

        return new MountUpdate(added, [.. removed.Distinct().OrderByDescending(mount => mount.Destination.AsSpan().Count('/'))], change.Judged);
    }

    /// <summary>The mounts of the container afterwards, parents first.</summary>
    /// <param name="acquired">The added ones, with what is known of their volumes.</param>
    public IReadOnlyList<ContainerMount> Merge(IReadOnlyList<ContainerMount> current, IReadOnlyList<ContainerMount> acquired) =>
        [.. current.Except(Removed).Concat(acquired).OrderBy(mount => mount.Destination.AsSpan().Count('/')).ThenBy(mount => mount.Destination, StringComparer.Ordinal)];

    /// <summary>The host configuration afterwards, as <c>docker inspect</c> shows it.</summary>
    public HostConfig Merge(HostConfig current, List<Mount>? added)
    {
        HashSet<string> gone = [.. Removed.Select(mount => mount.Destination)];
        return current with
        {
            Binds = Without(current.Binds, bind => DestinationOf(bind)),
            Mounts = [.. Without(current.Mounts, mount => MountPaths.Normalize(mount.Target)) ?? [], .. added ?? []],
            Tmpfs = current.Tmpfs?.Where(entry => !gone.Contains(MountPaths.Normalize(entry.Key))).ToDictionary(),
        };

        List<T>? Without<T>(List<T>? entries, Func<T, string> destination) => entries is null ? null : [.. entries.Where(entry => !gone.Contains(destination(entry)))];
    }

    private static string DestinationOf(string bind) =>
        BindText.Parse(bind, (_, destination, _) => new ContainerMount("volume", "", destination, [], "", ReadOnly: false, "")).Destination;
}
