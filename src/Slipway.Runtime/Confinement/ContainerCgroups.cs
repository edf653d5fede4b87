using System.Collections.Concurrent;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Threading;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>
/// The control groups of all containers, by <see cref="LinuxSpec.CgroupsPath"/>: made with their limits, joined, updated, frozen, removed.
/// Safe for concurrent use by different containers.
/// </summary>
/// <param name="sparing">The parent group below which groups are kept ready; null: none are.</param>
/// <param name="retention">How long those that a burst has asked for stay ready after it.</param>
public sealed class ContainerCgroups(CgroupHierarchy hierarchy, TimeProvider time, string? sparing = null, TimeSpan retention = default) : IDisposable
{
    /// <summary>What the name of a spare group begins with. An engine that finds one of another's run removes it, as everything that is no container's.</summary>
    internal const string SparePrefix = "spare-";

    private readonly ConcurrentDictionary<string, Lazy<CgroupRoot>> _roots = new(StringComparer.Ordinal);
    private readonly string? _sparing = sparing?.Trim('/');
    private readonly Lock _lock = new();
    private SparePool<string>? _spares;

    public CgroupHierarchy Hierarchy { get; } = hierarchy;

    /// <summary>Makes the groups of a container and sets its limits. What a missing controller would have limited is left out (see <see cref="ResourceSupport"/>).</summary>
    /// <exception cref="ConfinementException">A limit is not valid.</exception>
    /// <exception cref="KernelException">The kernel refused; nothing is left behind.</exception>
    public Cgroup Create(string cgroupsPath, ResourcesSpec? resources)
    {
        (CgroupRoot root, string name) = Locate(cgroupsPath);
        DeviceAccess? devices = resources is null ? null : ResourceSettings.Devices(resources);
        Cgroup group;
        try
        {
            group = TakeSpare(root, name) ?? root.Create(name);
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.ENODEV)
        {
            // Somebody has removed the parent, which nobody was in, behind the descriptors.
            _roots.TryRemove(root.Path, out _);
            Forget(root);
            root = Root(root.Path);
            group = root.Create(name);
        }

        try
        {
            if (resources is not null)
            {
                group.Apply(Supported(group, root, resources));
            }

            if (devices is not null)
            {
                group.SetDevices(devices);
            }

            return group;
        }
        catch
        {
            group.Dispose();
            root.TryDelete(name);
            throw;
        }
    }

    /// <summary>Opens a container's groups, or null where there are none.</summary>
    public Cgroup? TryOpen(string cgroupsPath)
    {
        (CgroupRoot root, string name) = Locate(cgroupsPath);
        return root.TryOpen(name);
    }

    /// <summary>Changes limits of a running container; device rules are replaced where there are any.</summary>
    /// <exception cref="ConfinementException">A limit is not valid.</exception>
    /// <exception cref="KernelException">The kernel refused, or there is no such group.</exception>
    public void Update(string cgroupsPath, ResourcesSpec resources)
    {
        (CgroupRoot root, string name) = Locate(cgroupsPath);
        using Cgroup group = root.TryOpen(name) ?? throw new KernelException($"open control group \"{cgroupsPath}\"", Errno.ENOENT);
        group.Apply(Supported(group, root, resources));
        if (ResourceSettings.Devices(resources) is { } devices)
        {
            group.SetDevices(devices);
        }
    }

    /// <summary>Replaces limits of a running container by others: what is not the same is written.</summary>
    /// <returns>What was set before, for <see cref="Restore"/>.</returns>
    /// <exception cref="ConfinementException">A limit is not valid.</exception>
    /// <exception cref="KernelException">The kernel refused, and all is as before; or there is no such group.</exception>
    public IReadOnlyList<CgroupSetting> Change(string cgroupsPath, ResourcesSpec before, ResourcesSpec after)
    {
        (CgroupRoot root, string name) = Locate(cgroupsPath);
        using Cgroup group = root.TryOpen(name) ?? throw new KernelException($"open control group \"{cgroupsPath}\"", Errno.ENOENT);
        HashSet<CgroupSetting> unchanged = [.. Supported(group, root, before)];
        List<CgroupSetting> changed = [.. Supported(group, root, after).Where(setting => !unchanged.Contains(setting))];
        List<CgroupSetting> former = [.. changed.Select(setting => setting with { Value = Former(group, setting) })];
        try
        {
            group.Apply(changed);
        }
        catch
        {
            group.Apply(former);
            throw;
        }

        return former;
    }

    /// <summary>Takes a <see cref="Change"/> back. Does nothing where the container has ended meanwhile.</summary>
    public void Restore(string cgroupsPath, IReadOnlyList<CgroupSetting> former)
    {
        using Cgroup? group = TryOpen(cgroupsPath);
        group?.Apply(former);
    }

    /// <summary>The group that holds containers' groups: <c>slipway</c>. Opened on first use and kept.</summary>
    public CgroupRoot Root(string path)
    {
        string parent = path.Trim('/');
        Lazy<CgroupRoot> root = _roots.GetOrAdd(parent, key => new Lazy<CgroupRoot>(() => CgroupRoot.Open(Hierarchy, key)));
        try
        {
            return root.Value;
        }
        catch (KernelException)
        {
            // What keeps a group from being made may pass: the next one tries again.
            _roots.TryRemove(KeyValuePair.Create(parent, root));
            throw;
        }
    }

    /// <summary>Removes the group that holds containers' groups, if it holds none.</summary>
    public void RemoveRoot(string path)
    {
        CgroupRoot root = Root(path);
        Forget(root);
        root.TryDelete();
    }

    public void Dispose()
    {
        _spares?.Dispose();
        foreach (Lazy<CgroupRoot> root in _roots.Values.Where(root => root.IsValueCreated))
        {
            root.Value.Dispose();
        }

        Hierarchy.Dispose();
    }

    /// <summary>Groups kept ready, as the container's; null where there are none.</summary>
    private Cgroup? TakeSpare(CgroupRoot root, string name)
    {
        if (root.Path != _sparing || root.Mode == CgroupMode.V2)
        {
            return null;
        }

        SparePool<string> spares;
        lock (_lock)
        {
            spares = _spares ??= new SparePool<string>(() => MakeSpare(root), spare => root.TryDelete(spare), retention, time);
        }

        return spares.TryTake() is { } spare ? root.TryName(spare, name) : null;
    }

    private static string? MakeSpare(CgroupRoot root)
    {
        string name = $"{SparePrefix}{Guid.NewGuid():N}";
        return root.TryCreateSpare(name) ? name : null;
    }

    /// <summary>Those kept ready below a parent that is gone are gone with it.</summary>
    private void Forget(CgroupRoot root)
    {
        if (root.Path == _sparing)
        {
            lock (_lock)
            {
                _spares?.Dispose();
                _spares = null;
            }
        }
    }

    private (CgroupRoot Root, string Name) Locate(string cgroupsPath)
    {
        string path = cgroupsPath.Trim('/');
        int slash = path.LastIndexOf('/');
        return slash > 0
            ? (Root(path[..slash]), path[(slash + 1)..])
            : throw new ConfinementException($"invalid cgroup path \"{cgroupsPath}\": it must name a parent group and the container's own");
    }

    /// <summary>What a file holds. An empty one (a cpuset of v2 that is its parent's) is restored by an empty line.</summary>
    private static string Former(Cgroup group, CgroupSetting setting) => group.TryRead(setting.File)?.TrimEnd('\n') is { Length: > 0 } value ? value : "\n";

    private static List<CgroupSetting> Supported(Cgroup group, CgroupRoot root, ResourcesSpec resources) =>
        [.. ResourceSettings.Convert(resources, group.Mode, file => group.TryRead(file) is not null)
            .Where(setting => ResourceSupport.IsCoreFile(setting.File) || root.Controllers.Contains(ResourceSupport.Controller(setting.File)))];
}
