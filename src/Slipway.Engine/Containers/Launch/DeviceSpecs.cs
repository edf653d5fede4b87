using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Kernel.Files;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;

namespace Slipway.Engine.Containers.Launch;

/// <summary>Device nodes a container gets besides the default ones, and the rules for their use.</summary>
internal sealed record DeviceSpecs(IReadOnlyList<DeviceSpec> Nodes, IReadOnlyList<DeviceCgroupRule> Rules)
{
    /// <summary>Below /dev: mounts and links of the container's own.</summary>
    private static readonly HashSet<string> OwnEntries = new(StringComparer.Ordinal)
    {
        "/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/ptmx", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
    };

    public static DeviceSpecs Gather(HostConfig host)
    {
        if (host.Privileged)
        {
            return new DeviceSpecs([.. Below("/dev", "/dev").Select(found => found.Node)], DeviceRules.Privileged);
        }

        List<DeviceSpec> nodes = [];
        List<DeviceCgroupRule> rules = [.. DeviceRules.Default];
        foreach (DeviceMapping mapping in host.Devices ?? [])
        {
            string access = mapping.CgroupPermissions.Length == 0 ? "rwm" : mapping.CgroupPermissions;
            if (access.Any(c => c is not ('r' or 'w' or 'm')))
            {
                throw ContainerErrors.Invalid($"invalid device mode: {access}");
            }

            string target = mapping.PathInContainer.Length == 0 ? mapping.PathOnHost : mapping.PathInContainer;
            foreach (DeviceSpec node in Resolve(mapping.PathOnHost, target))
            {
                nodes.Add(node);
                rules.Add(new DeviceCgroupRule(true, node.Type, node.Major, node.Minor, access));
            }
        }

        rules.AddRange((host.DeviceCgroupRules ?? []).Select(ParseRule));
        return new DeviceSpecs(nodes, rules);
    }

    /// <summary>The number of a block device.</summary>
    /// <exception cref="EngineException">There is none at the path.</exception>
    public static DeviceNumber NumberOf(string path)
    {
        FileStatus status = Status(path) ?? throw ContainerErrors.Invalid($"no such device: \"{path}\"");
        return status.Type == FileType.BlockDevice ? status.SpecialDevice : throw ContainerErrors.Invalid($"\"{path}\" is not a block device");
    }

    /// <summary>Reads <c>c 1:3 rwm</c>.</summary>
    internal static DeviceCgroupRule ParseRule(string text)
    {
        string[] fields = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool valid = fields.Length == 3 && fields[0] is "a" or "b" or "c" && fields[1].Split(':').Length == 2 && fields[2].Length > 0 && fields[2].All(c => c is 'r' or 'w' or 'm');
        if (!valid)
        {
            throw ContainerErrors.Invalid($"invalid device cgroup rule format: '{text}'");
        }

        string[] numbers = fields[1].Split(':');
        return new DeviceCgroupRule(true, fields[0], Number(numbers[0]), Number(numbers[1]), fields[2]);

        long? Number(string number) =>
            number == "*" ? null
            : uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out uint value) ? value
            : throw ContainerErrors.Invalid($"invalid device cgroup rule format: '{text}'");
    }

    private static List<DeviceSpec> Resolve(string path, string target)
    {
        FileStatus status = Status(path)
            ?? throw new EngineException(ErrorKind.System, $"error gathering device information while adding custom device \"{path}\": no such file or directory");
        List<DeviceSpec> nodes = status.IsDirectory ? [.. Below(path, target).Select(found => found.Node)] : Node(target, status) is { } node ? [node] : [];
        return nodes.Count > 0
            ? nodes
            : throw new EngineException(ErrorKind.System, $"error gathering device information while adding custom device \"{path}\": not a device node");
    }

    /// <summary>A device of the host under the path it has in the container; null where there is none.</summary>
    internal static DeviceSpec? OfHost(string path, string target) => Status(path) is { } status ? Node(target, status) : null;

    /// <summary>All device nodes below a directory of the host; links are passed over.</summary>
    private static IEnumerable<(string Path, DeviceSpec Node)> Below(string directory, string target)
    {
        foreach (string path in Directory.EnumerateFileSystemEntries(directory))
        {
            string name = target + path[directory.Length..];
            if (OwnEntries.Contains(path) || StatusNoFollow(path) is not { } status)
            {
                continue;
            }

            if (status.IsDirectory)
            {
                foreach ((string Path, DeviceSpec Node) found in Below(path, name))
                {
                    yield return found;
                }
            }
            else if (Node(name, status) is { } node)
            {
                yield return (path, node);
            }
        }
    }

    private static DeviceSpec? Node(string path, FileStatus status) => status.Type switch
    {
        FileType.CharacterDevice => new DeviceSpec(path, "c", status.SpecialDevice.Major, status.SpecialDevice.Minor, status.Permissions, status.UserId, status.GroupId),
        FileType.BlockDevice => new DeviceSpec(path, "b", status.SpecialDevice.Major, status.SpecialDevice.Minor, status.Permissions, status.UserId, status.GroupId),
        _ => null,
    };

    private static FileStatus? Status(string path)
    {
        using SafeFileHandle? file = path.StartsWith('/') ? new HostPath(path).TryOpen(OpenFlags.Path) : null;
        return file is null ? null : FileStatus.Of(file);
    }

    private static FileStatus? StatusNoFollow(string path)
    {
        using SafeFileHandle? file = new HostPath(path).TryOpen(OpenFlags.Path | OpenFlags.NoFollow);
        return file is null ? null : FileStatus.Of(file);
    }
}
