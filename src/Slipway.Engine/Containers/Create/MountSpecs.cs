using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Volumes;

namespace Slipway.Engine.Containers.Create;

/// <summary>What the reading of mounts has to ask others.</summary>
/// <param name="MountsOf">The mounts of another container, by reference; InvalidParameter where there is none.</param>
/// <param name="ImageId">The id of an image, by name; InvalidParameter where there is none.</param>
internal sealed record MountLookups(Func<string, IReadOnlyList<ContainerMount>> MountsOf, Func<string, string> ImageId);

/// <summary>
/// Reads <c>--volumes-from</c>, <c>-v</c>, <c>--mount</c>, <c>--tmpfs</c> and the image's volumes into mounts. What another container or the image
/// brings yields to the user's own; two mounts of the user's on one target are refused.
/// </summary>
internal sealed class MountSpecs
{
    private readonly Dictionary<string, ContainerMount> _mounts = new(StringComparer.Ordinal);
    private readonly HashSet<string> _own = new(StringComparer.Ordinal);
    private readonly MountLookups _lookups;
    private readonly string _defaultDriver;

    private MountSpecs(MountLookups lookups, string defaultDriver) => (_lookups, _defaultDriver) = (lookups, defaultDriver);

    /// <returns>In the order in which they are mounted: parents first. Volumes have no source yet.</returns>
    /// <exception cref="EngineException">InvalidParameter or NotImplemented.</exception>
    public static IReadOnlyList<ContainerMount> Resolve(ContainerConfig config, HostConfig hostConfig, MountLookups lookups)
    {
        MountSpecs specs = new(lookups, hostConfig.VolumeDriver);
        foreach (string from in hostConfig.VolumesFrom ?? [])
        {
            specs.AddFrom(from);
        }

        foreach (string bind in hostConfig.Binds ?? [])
        {
            specs.Add(BindText.Parse(bind, (name, destination, mode) => specs.Volume(name, destination, mode, mode.Length > 0 ? mode : "z")));
        }

        foreach (Mount mount in hostConfig.Mounts ?? [])
        {
            specs.Add(specs.Read(mount));
        }

        foreach ((string destination, string options) in hostConfig.Tmpfs ?? [])
        {
            specs.Add(TmpfsText.Mount(MountPaths.Destination(destination, $"invalid volume specification: '{destination}'"), options.Split(',', StringSplitOptions.RemoveEmptyEntries)));
        }

        foreach (string volume in config.Volumes?.Keys ?? Enumerable.Empty<string>())
        {
            string destination = MountPaths.Destination(volume, $"invalid volume specification: '{volume}'");
            if (!specs._mounts.ContainsKey(destination))
            {
                specs._mounts.Add(destination, specs.Volume("", destination, "", ""));
            }
        }

        return [.. specs._mounts.Values.OrderBy(mount => mount.Destination.AsSpan().Count('/')).ThenBy(mount => mount.Destination, StringComparer.Ordinal)];
    }

    private void Add(ContainerMount mount)
    {
        if (!_own.Add(mount.Destination))
        {
            throw ContainerErrors.Invalid($"Duplicate mount point: {mount.Destination}");
        }

        _mounts[mount.Destination] = mount;
    }

    /// <summary><c>container[:mode]</c>: its volumes and binds at the same places. What it has not filled, this container does not fill.</summary>
    private void AddFrom(string text)
    {
        string[] parts = text.Split(':', 2);
        if (parts[0].Length == 0)
        {
            throw ContainerErrors.Invalid($"malformed volumes-from specification: {text}");
        }

        if (parts.Length == 2 && parts[1] is not ("ro" or "rw" or "z" or "Z"))
        {
            throw ContainerErrors.Invalid($"invalid mode: {parts[1]}");
        }

        foreach (ContainerMount mount in _lookups.MountsOf(parts[0]).Where(mount => mount.Type != "tmpfs"))
        {
            bool narrowed = parts.Length == 2 && parts[1] == "ro" && !mount.ReadOnly;
            _mounts[mount.Destination] = mount with
            {
                Mode = "",
                NoCopy = true,
                ReadOnly = mount.ReadOnly || narrowed,
                Options = narrowed ? [.. mount.Options.Where(word => word != "rw"), mount.Options.Contains("rbind") ? "rro" : "ro"] : mount.Options,
            };
        }
    }

    private ContainerMount Read(Mount mount)
    {
        string where = $"invalid mount config for type \"{mount.Type}\"";
        if (mount.Type is "cluster" or "npipe")
        {
            throw ContainerErrors.Unsupported($"--mount type={mount.Type}");
        }

        if (mount.Type is not ("bind" or "volume" or "tmpfs" or "image"))
        {
            throw ContainerErrors.Invalid($"{where}: mount type unknown");
        }

        if (mount.Target.Length == 0)
        {
            throw ContainerErrors.Invalid($"{where}: field Target must not be empty");
        }

        if (!mount.Target.StartsWith('/'))
        {
            throw ContainerErrors.Invalid($"{where}: invalid mount path: '{mount.Target}' mount path must be absolute");
        }

        RefuseOthers(mount, where);
        string destination = MountPaths.Destination(mount.Target, where);
        return mount.Type switch
        {
            "bind" => Bind(mount, destination, where),
            "volume" => Volume(mount, destination, where),
            "image" => Image(mount, destination, where),
            _ when !string.IsNullOrEmpty(mount.Source) => throw ContainerErrors.Invalid($"{where}: field Source must not be specified"),
            _ => TmpfsText.Mount(destination, TmpfsText.Words(mount)),
        };
    }

    /// <summary>Options of a type of mount that this is not.</summary>
    private static void RefuseOthers(Mount mount, string where)
    {
        Refuse("bind", mount.BindOptions is not null, nameof(mount.BindOptions));
        Refuse("volume", mount.VolumeOptions is not null, nameof(mount.VolumeOptions));
        Refuse("tmpfs", mount.TmpfsOptions is not null, nameof(mount.TmpfsOptions));
        Refuse("image", mount.ImageOptions is not null, nameof(mount.ImageOptions));

        void Refuse(string type, bool isGiven, string field)
        {
            if (isGiven && mount.Type != type)
            {
                throw ContainerErrors.Invalid($"{where}: field {field} must not be specified");
            }
        }
    }

    private static ContainerMount Bind(Mount mount, string destination, string where)
    {
        if (string.IsNullOrEmpty(mount.Source))
        {
            throw ContainerErrors.Invalid($"{where}: field Source must not be empty");
        }

        if (!mount.Source.StartsWith('/'))
        {
            throw ContainerErrors.Invalid($"{where}: invalid mount path: '{mount.Source}' mount path must be absolute");
        }

        BindOptions options = mount.BindOptions ?? new BindOptions();
        string propagation = string.IsNullOrEmpty(options.Propagation) ? "rprivate" : options.Propagation;
        if (!MountPaths.IsPropagation(propagation))
        {
            throw ContainerErrors.Invalid($"{where}: invalid propagation mode: {propagation}");
        }

        if (!options.CreateMountpoint && !Path.Exists(mount.Source))
        {
            throw ContainerErrors.Invalid($"{where}: bind source path does not exist: {mount.Source}");
        }

        if (options.ReadOnlyForceRecursive && (!mount.ReadOnly || options.NonRecursive || options.ReadOnlyNonRecursive))
        {
            throw ContainerErrors.Invalid($"{where}: mount source must be read-only and recursive for ReadOnlyForceRecursive");
        }

        bool readOnlyBelow = mount.ReadOnly && !options.ReadOnlyNonRecursive && !options.NonRecursive;
        return new ContainerMount(
            "bind", MountPaths.Normalize(mount.Source), destination, MountPaths.BindOptions(!options.NonRecursive, mount.ReadOnly, readOnlyBelow, propagation), "", mount.ReadOnly,
            propagation, CreateSource: options.CreateMountpoint)
        {
            IdMap = options.IdMap is { } idMap ? IdMapText.Ids(idMap.Length == 0 ? "idmap" : $"idmap={idMap}") : null,
        };
    }

    private ContainerMount Volume(Mount mount, string destination, string where)
    {
        bool anonymous = string.IsNullOrEmpty(mount.Source);
        VolumeOptions options = mount.VolumeOptions ?? new VolumeOptions();
        if (anonymous && mount.ReadOnly)
        {
            throw ContainerErrors.Invalid($"{where}: must not set ReadOnly mode when using anonymous volumes");
        }

        if (anonymous && !string.IsNullOrEmpty(options.Subpath))
        {
            throw ContainerErrors.Invalid($"{where}: must not set Subpath when using anonymous volumes");
        }

        return Volume(anonymous ? "" : VolumeNames.Check(mount.Source!), destination, mount.ReadOnly ? "ro" : "", "z") with
        {
            NoCopy = options.NoCopy,
            Subpath = Subpath(options.Subpath, where, "volume"),
            Volume = new VolumeSpec(options.DriverConfig?.Name, options.DriverConfig?.Options, Labels(options.Labels, anonymous)),
        };
    }

    private ContainerMount Image(Mount mount, string destination, string where)
    {
        if (string.IsNullOrEmpty(mount.Source))
        {
            throw ContainerErrors.Invalid($"{where}: field Source must not be empty");
        }

        return new ContainerMount("image", mount.Source, destination, ["rbind", "rprivate", "ro"], "", ReadOnly: true, "")
        {
            ImageId = _lookups.ImageId(mount.Source),
            Subpath = Subpath(mount.ImageOptions?.Subpath, where, "image"),
        };
    }

    private static string? Subpath(string? path, string where, string of) =>
        string.IsNullOrEmpty(path) ? null
        : MountPaths.IsLocal(path) ? path
        : throw ContainerErrors.Invalid($"{where}: subpath must be a relative path within the {of}");

    /// <param name="name">Empty for an anonymous volume.</param>
    /// <param name="mode">Words, separated by commas.</param>
    /// <param name="shownMode">As <c>docker inspect</c> shows it.</param>
    private ContainerMount Volume(string name, string destination, string mode, string shownMode)
    {
        string[] words = mode.Split(',', StringSplitOptions.RemoveEmptyEntries);
        bool readOnly = words.Contains("ro");
        bool anonymous = name.Length == 0;
        return new ContainerMount(
            "volume", "", destination, ["rbind", "rprivate", readOnly ? "ro" : "rw"], shownMode, readOnly, "", anonymous ? Identifiers.New() : name, anonymous)
        {
            NoCopy = words.Contains("nocopy"),
            Volume = new VolumeSpec(_defaultDriver, null, Labels(null, anonymous)),
        };
    }

    private static Dictionary<string, string>? Labels(Dictionary<string, string>? labels, bool anonymous) =>
        anonymous ? new Dictionary<string, string>(labels ?? []) { [VolumeDocument.AnonymousLabel] = "" } : labels;
}
