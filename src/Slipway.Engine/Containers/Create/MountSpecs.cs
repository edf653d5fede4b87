using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Create;

/// <summary>
/// Reads <c>-v</c>, <c>--mount</c>, <c>--tmpfs</c> and the image's volumes into mounts. Later kinds win over earlier ones only
/// where the earlier is an image's volume; two mounts of the user's on one target are refused.
/// </summary>
internal sealed class MountSpecs(Func<string, string> volumePath)
{
    private static readonly HashSet<string> Propagations = new(StringComparer.Ordinal) { "private", "rprivate", "slave", "rslave", "shared", "rshared" };

    private readonly Dictionary<string, ContainerMount> _mounts = new(StringComparer.Ordinal);

    /// <param name="volumePath">The directory of a volume, by name.</param>
    /// <returns>In the order in which they are mounted: parents first.</returns>
    /// <exception cref="EngineException">InvalidParameter or NotImplemented.</exception>
    public static IReadOnlyList<ContainerMount> Resolve(ContainerConfig config, HostConfig hostConfig, Func<string, string> volumePath)
    {
        MountSpecs specs = new(volumePath);
        foreach (string bind in hostConfig.Binds ?? [])
        {
            specs.Add(specs.ParseBind(bind));
        }

        foreach (Mount mount in hostConfig.Mounts ?? [])
        {
            specs.Add(specs.Read(mount));
        }

        foreach ((string destination, string options) in hostConfig.Tmpfs ?? [])
        {
            specs.Add(Tmpfs(Destination(destination, destination), options.Split(',', StringSplitOptions.RemoveEmptyEntries)));
        }

        foreach (string volume in config.Volumes?.Keys ?? Enumerable.Empty<string>())
        {
            string destination = Destination(volume, volume);
            specs._mounts.TryAdd(destination, specs.Volume(Identifiers.New(), destination, [], "", true));
        }

        return [.. specs._mounts.Values.OrderBy(mount => mount.Destination.AsSpan().Count('/')).ThenBy(mount => mount.Destination, StringComparer.Ordinal)];
    }

    private void Add(ContainerMount mount)
    {
        if (!_mounts.TryAdd(mount.Destination, mount))
        {
            throw ContainerErrors.Invalid($"Duplicate mount point: {mount.Destination}");
        }
    }

    /// <summary><c>[source:]destination[:mode]</c>.</summary>
    private ContainerMount ParseBind(string text)
    {
        string[] parts = text.Split(':');
        (string source, string target, string mode) = parts.Length switch
        {
            1 => ("", parts[0], ""),

            // Two parts are source and destination, or a destination with a mode.
            2 when parts[1].StartsWith('/') || !IsMode(parts[1]) => (parts[0], parts[1], ""),
            2 => ("", parts[0], parts[1]),
            3 => (parts[0], parts[1], parts[2]),
            _ => throw ContainerErrors.Invalid($"invalid volume specification: '{text}'"),
        };
        if (mode.Length > 0 && !IsMode(mode))
        {
            throw ContainerErrors.Invalid($"invalid mode: {mode}");
        }

        bool bind = source.StartsWith('/');
        if (!target.StartsWith('/'))
        {
            throw ContainerErrors.Invalid(
                $"invalid volume specification: '{text}': invalid mount config for type \"{(bind ? "bind" : "volume")}\": invalid mount path: '{target}' mount path must be absolute");
        }

        string destination = Destination(target, text);
        string[] words = mode.Split(',', StringSplitOptions.RemoveEmptyEntries);
        if (!bind)
        {
            return Volume(source.Length == 0 ? Identifiers.New() : VolumeName(source), destination, words, mode, source.Length == 0);
        }

        bool readOnly = words.Contains("ro");
        string propagation = words.FirstOrDefault(Propagations.Contains) ?? "rprivate";
        return new ContainerMount("bind", NormalizePath(source), destination, BindOptions(recursive: true, readOnly, forceRecursive: readOnly, propagation), mode, readOnly, propagation, CreateSource: true);
    }

    private static bool IsMode(string text) => text.Split(',').All(word =>
        word is "ro" or "rw" or "z" or "Z" or "nocopy" or "consistent" or "cached" or "delegated" or "default" || Propagations.Contains(word));

    private ContainerMount Read(Mount mount)
    {
        string where = $"invalid mount config for type \"{mount.Type}\"";
        if (mount.Target.Length == 0)
        {
            throw ContainerErrors.Invalid($"{where}: field Target must not be empty");
        }

        if (!mount.Target.StartsWith('/'))
        {
            throw ContainerErrors.Invalid($"{where}: invalid mount path: '{mount.Target}' mount path must be absolute");
        }

        string destination = Destination(mount.Target, mount.Target);
        switch (mount.Type)
        {
            case "bind":
                return Bind(mount, destination, where);
            case "volume":
                if (mount.VolumeOptions is { Subpath.Length: > 0 })
                {
                    throw ContainerErrors.Unsupported("--mount type=volume,volume-subpath");
                }

                if (mount.VolumeOptions?.DriverConfig?.Name is not (null or "" or "local") || mount.VolumeOptions?.DriverConfig?.Options is { Count: > 0 })
                {
                    throw ContainerErrors.Unsupported("--mount type=volume,volume-driver");
                }

                bool anonymous = string.IsNullOrEmpty(mount.Source);
                return Volume(anonymous ? Identifiers.New() : VolumeName(mount.Source!), destination, mount.ReadOnly ? ["ro"] : [], "z", anonymous);
            case "tmpfs":
                if (!string.IsNullOrEmpty(mount.Source))
                {
                    throw ContainerErrors.Invalid($"{where}: field Source must not be specified");
                }

                List<string> options = [.. (mount.TmpfsOptions?.Options ?? []).Select(pair => string.Join('=', pair))];
                if (mount.ReadOnly)
                {
                    options.Add("ro");
                }

                if (mount.TmpfsOptions is { SizeBytes: > 0 } sized)
                {
                    options.Add($"size={sized.SizeBytes}");
                }

                if (mount.TmpfsOptions is { Mode: > 0 } moded)
                {
                    options.Add($"mode={Convert.ToString(moded.Mode, 8)}");
                }

                return Tmpfs(destination, options);
            case "image" or "cluster" or "npipe":
                throw ContainerErrors.Unsupported($"--mount type={mount.Type}");
            default:
                throw ContainerErrors.Invalid($"{where}: mount type unknown");
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
        if (!Propagations.Contains(propagation))
        {
            throw ContainerErrors.Invalid($"{where}: invalid propagation mode: {propagation}");
        }

        if (!options.CreateMountpoint && !Path.Exists(mount.Source))
        {
            throw ContainerErrors.Invalid($"{where}: bind source path does not exist: {mount.Source}");
        }

        bool recursiveReadOnly = mount.ReadOnly && !options.ReadOnlyNonRecursive && !options.NonRecursive;
        return new ContainerMount(
            "bind", NormalizePath(mount.Source), destination, BindOptions(!options.NonRecursive, mount.ReadOnly, recursiveReadOnly, propagation), "", mount.ReadOnly, propagation,
            CreateSource: options.CreateMountpoint);
    }

    private static List<string> BindOptions(bool recursive, bool readOnly, bool forceRecursive, string propagation) =>
        [recursive ? "rbind" : "bind", propagation, readOnly ? forceRecursive ? "rro" : "ro" : "rw"];

    private ContainerMount Volume(string name, string destination, IReadOnlyList<string> words, string mode, bool anonymous)
    {
        bool readOnly = words.Contains("ro");
        return new ContainerMount(
            "volume", volumePath(name), destination, ["rbind", "rprivate", readOnly ? "ro" : "rw"], mode.Length > 0 ? mode : "z", readOnly, "", name, anonymous, CreateSource: true);
    }

    private static ContainerMount Tmpfs(string destination, IReadOnlyList<string> options)
    {
        List<string> merged = ["nosuid", "nodev", "noexec"];
        foreach (string option in options)
        {
            string opposite = option switch { "suid" => "nosuid", "dev" => "nodev", "exec" => "noexec", _ => "" };
            merged.Remove(opposite);
            if (opposite.Length == 0)
            {
                merged.Add(IsTmpfsOption(option) ? option : throw ContainerErrors.Invalid($"invalid tmpfs option: \"{option}\""));
            }
        }

        return new ContainerMount("tmpfs", "", destination, merged, "", options.Contains("ro"), "");
    }

    private static bool IsTmpfsOption(string option) =>
        option is "ro" or "rw" or "nosuid" or "nodev" or "noexec" or "noatime" or "nodiratime" or "relatime" or "strictatime" or "sync" or "async" or "dirsync" or "mand" or "nomand"
        || Propagations.Contains(option)
        || (option.IndexOf('=', StringComparison.Ordinal) is > 0 and int equals && option[..equals] is "size" or "mode" or "uid" or "gid" or "nr_inodes" or "nr_blocks" or "mpol" or "huge");

    private static string VolumeName(string name)
    {
        bool valid = name.Length >= 2 && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');
        return valid
            ? name
            : throw ContainerErrors.Invalid(
                $"create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path");
    }

    /// <summary>The target, normalized: <c>..</c> is taken out here, links inside the container are the launch's matter.</summary>
    private static string Destination(string text, string specification)
    {
        if (!text.StartsWith('/'))
        {
            throw ContainerErrors.Invalid($"invalid mount path: '{text}' mount path must be absolute");
        }

        if (text.Contains('\0', StringComparison.Ordinal))
        {
            throw ContainerErrors.Invalid("invalid mount path: it contains a NUL character");
        }

        string path = NormalizePath(text);
        return path != "/" ? path : throw ContainerErrors.Invalid($"invalid volume specification: '{specification}': invalid specification: destination can't be '/'");
    }

    private static string NormalizePath(string path)
    {
        List<string> parts = [];
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == "..")
            {
                if (parts.Count > 0)
                {
                    parts.RemoveAt(parts.Count - 1);
                }
            }
            else if (part != ".")
            {
                parts.Add(part);
            }
        }

        return "/" + string.Join('/', parts);
    }
}
