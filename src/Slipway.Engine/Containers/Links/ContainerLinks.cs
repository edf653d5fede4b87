using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Containers.Links;

/// <summary>Legacy links: containers of the default network find each other by name only where one has a link to the other.</summary>
internal sealed class ContainerLinks(EngineServices services, ContainerIndex index)
{
    /// <summary>More than any hosts file; the container may have written anything into its own.</summary>
    private const int MaxHostsBytes = 1 << 20;

    /// <summary>Resolves the links of a container that is created: what is named by name is kept by id, as names change.</summary>
    /// <exception cref="EngineException">A linked container does not exist or cannot be linked to.</exception>
    public void Register(HostConfig host)
    {
        // On a network of one's own links are names in its name server: they came with the settings of the endpoint too.
        if (host.Links is not { Count: > 0 } || !NamespaceModes.IsPredefined(host.NetworkMode))
        {
            return;
        }

        if (host.NetworkMode == NamespaceModes.Host)
        {
            throw ContainerErrors.Invalid("conflicting options: host type networking can't be used with links. This would result in undefined behavior");
        }

        if (NamespaceModes.SharedWith(host.NetworkMode) is not null)
        {
            throw ContainerErrors.Invalid("conflicting options: container type network can't be used with links. This would result in undefined behavior");
        }

        host.Links = host.Links.ConvertAll(text =>
        {
            LegacyLink link = LegacyLink.Parse(text);
            ContainerSnapshot child = Find(link.Container);
            while (NamespaceModes.SharedWith(child.HostConfig.NetworkMode) is { } other)
            {
                child = Find(other);
            }

            return child.HostConfig.NetworkMode == NamespaceModes.Host
                ? throw ContainerErrors.Invalid("conflicting options: host type networking can't be used with links. This would result in undefined behavior")
                : (link with { Container = child.Id }).ToString();
        });
    }

    /// <summary>The links of a container that starts. A linked container that was removed has no link any more.</summary>
    /// <exception cref="EngineException">A linked container does not run, or has no address.</exception>
    public IReadOnlyList<ResolvedLink> Resolve(ContainerSnapshot parent)
    {
        List<ResolvedLink> links = [];
        foreach (LegacyLink link in Of(parent))
        {
            if (index.Find(link.Container)?.Snapshot is not { } child)
            {
                continue;
            }

            if (!child.State.IsRunning)
            {
                throw ContainerErrors.Invalid($"Cannot link to a non running container: /{child.Name} AS /{parent.Name}/{link.Alias}");
            }

            links.Add(new ResolvedLink(parent.Name, link.Alias, child, child.State.Endpoint?.Address ?? throw ContainerErrors.Invalid($"container {child.Id} not attached to default bridge network")));
        }

        return links;
    }

    /// <summary>The variables of a container's links, for a further process in it: of those linked containers that still run.</summary>
    public IReadOnlyList<string> Environment(ContainerSnapshot parent) =>
    [
        .. from link in Of(parent)
           let child = index.Find(link.Container)?.Snapshot
           where child?.State.Endpoint is not null
           from variable in new ResolvedLink(parent.Name, link.Alias, child, child.State.Endpoint!.Address).Environment()
           select variable,
    ];

    /// <summary>As <c>docker inspect</c> shows them: <c>/child:/parent/alias</c>; null for none.</summary>
    public List<string>? Show(ContainerSnapshot parent)
    {
        List<string> shown = [.. from link in Of(parent)
                                 let child = index.Find(link.Container)?.Snapshot
                                 where child is not null
                                 select $"/{child.Name}:/{parent.Name}/{link.Alias}"];
        shown.Sort(StringComparer.Ordinal);
        return shown.Count > 0 ? shown : null;
    }

    /// <summary>The further names of each linked container, <c>/parent/alias</c>, by its id.</summary>
    public ILookup<string, string> Names() => index.All
        .Select(container => container.Snapshot)
        .SelectMany(parent => Of(parent).Select(link => (link.Container, Name: $"/{parent.Name}/{link.Alias}")))
        .ToLookup(link => link.Container, link => link.Name, StringComparer.Ordinal);

    /// <summary>A container has started, maybe at another address: those that run with links to it are told in their hosts files.</summary>
    public void Announce(ContainerSnapshot child)
    {
        if (child.State.Endpoint is not { } endpoint)
        {
            return;
        }

        foreach (ContainerSnapshot parent in index.All.Select(container => container.Snapshot).Where(parent => parent.State.IsLive && parent.Id != child.Id))
        {
            foreach (LegacyLink link in Of(parent).Where(link => link.Container == child.Id))
            {
                Rewrite(services.ContainerDirectory(parent.Id), link.Alias, endpoint.Address);
            }
        }
    }

    private static IEnumerable<LegacyLink> Of(ContainerSnapshot container) =>
        NamespaceModes.IsPredefined(container.HostConfig.NetworkMode) ? (container.HostConfig.Links ?? []).Select(LegacyLink.Parse) : [];

    private ContainerSnapshot Find(string reference)
    {
        try
        {
            return index.Resolve(reference).Snapshot;
        }
        catch (EngineException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            // Not as "not found": the docker CLI would take it for the image.
            throw ContainerErrors.Invalid($"could not get container for {reference}: {exception.Message}");
        }
    }

    /// <summary>In place: the file is bound into the container. The container may write it too, so nothing of it is trusted.</summary>
    private static void Rewrite(string directory, string alias, string address)
    {
        using SafeFileHandle? parent = new HostPath(directory).TryOpen(OpenFlags.Path | OpenFlags.Directory);
        if (parent is null || DirectoryEntry.TryOpen(parent, NetworkFiles.Hosts, OpenFlags.ReadWrite, out SafeFileHandle? file) != 0)
        {
            return;
        }

        using (file)
        {
            long length = RandomAccess.GetLength(file!);
            if (length > MaxHostsBytes)
            {
                return;
            }

            byte[] content = new byte[length];
            int read = RandomAccess.Read(file!, content, 0);
            IEnumerable<string> lines = Encoding.UTF8.GetString(content, 0, read).Split('\n').Select(line =>
                line.Split('\t', 2) is [_, var names] && names.Split(' ')[0] == alias ? $"{address}\t{names}" : line);
            byte[] rewritten = Encoding.UTF8.GetBytes(string.Join('\n', lines));
            RandomAccess.Write(file!, rewritten, 0);
            RandomAccess.SetLength(file!, rewritten.Length);
        }
    }
}
