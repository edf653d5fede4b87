using System.Globalization;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Launch;
using Slipway.Oci.Cdi;
using Slipway.Oci.Runtime;

namespace Slipway.Engine.Containers.Cdi;

/// <summary>
/// Gives a container the devices it asks for by CDI: <c>--device vendor.com/class=name</c>, and <c>--gpus</c>, which stands for the names <c>nvidia.com/gpu=…</c> (or
/// AMD's, where only those are described).
/// </summary>
internal static class CdiInjection
{
    private const string Driver = "cdi";
    private const string GpuCapability = "gpu";

    private static readonly (string Driver, string Kind)[] s_gpus = [("nvidia", "nvidia.com/gpu"), ("amd", "amd.com/gpu")];

    /// <summary>The specification with what the devices need.</summary>
    /// <param name="directories">Of specifications; empty: no devices are injected.</param>
    /// <exception cref="EngineException">In Docker's words: a device is unknown, or no driver gives such.</exception>
    public static Spec Apply(Spec spec, HostConfig host, IReadOnlyList<string> directories)
    {
        if (host.DeviceRequests is not { Count: > 0 } requests)
        {
            return spec;
        }

        CdiRegistry registry = CdiRegistry.Read(directories);
        List<string> names = [.. requests.SelectMany(request => Names(request, registry, directories.Count > 0)).Distinct(StringComparer.Ordinal)];
        string[] unknown = [.. names.Where(name => !registry.Devices.ContainsKey(name))];
        if (unknown.Length > 0)
        {
            string reasons = string.Concat(registry.Problems.Take(3).Select(problem => $"; {problem}"));
            throw ContainerErrors.Invalid($"CDI device injection failed: unresolvable CDI devices {string.Join(", ", unknown)}{reasons}");
        }

        // What is for all devices of a specification comes once.
        IEnumerable<CdiEdits?> edits =
        [
            .. names.Select(name => registry.Devices[name].Document).Distinct(ReferenceEqualityComparer.Instance).Cast<CdiDocument>().Select(document => document.ContainerEdits),
            .. names.Select(name => registry.Devices[name].Device.ContainerEdits),
        ];
        return edits.OfType<CdiEdits>().Aggregate(spec, (edited, edit) => Apply(edited, edit, host));
    }

    private static IEnumerable<string> Names(DeviceRequest request, CdiRegistry registry, bool enabled)
    {
        List<string> ids = request.DeviceIDs ?? [];
        if (request.Driver == Driver && enabled)
        {
            return request.Count != 0 ? throw ContainerErrors.Invalid("unexpected count in CDI device request")
                : request.Options is { Count: > 0 } ? throw ContainerErrors.Invalid("unexpected options in CDI device request")
                : ids;
        }

        bool gpu = request.Capabilities?.Exists(all => all.Contains(GpuCapability)) == true;
        string? kind = s_gpus.FirstOrDefault(known => gpu && request.Driver is var driver && (driver.Length == 0 || driver == known.Driver) && registry.HasKind(known.Kind)).Kind;
        return kind is null ? throw NoDriver(request)
            : request.Count != 0 && ids.Count > 0 ? throw ContainerErrors.Invalid("cannot set both Count and DeviceIDs on device request")
            : ids.Count > 0 ? ids.Select(id => $"{kind}={id}")
            : request.Count < 0 ? [$"{kind}=all"]
            : Enumerable.Range(0, request.Count).Select(number => string.Create(CultureInfo.InvariantCulture, $"{kind}={number}"));
    }

    private static EngineException NoDriver(DeviceRequest request) => new(
        ErrorKind.System,
        $"could not select device driver \"{request.Driver}\" with capabilities: [{string.Join(' ', (request.Capabilities ?? []).Select(all => $"[{string.Join(' ', all)}]"))}]");

    private static Spec Apply(Spec spec, CdiEdits edits, HostConfig host)
    {
        List<DeviceSpec> nodes = [.. spec.Linux.Devices];
        List<DeviceCgroupRule> rules = [.. spec.Linux.Resources?.Devices ?? []];
        foreach (CdiDeviceNode asked in edits.DeviceNodes ?? [])
        {
            DeviceSpec node = Node(asked);
            nodes.RemoveAll(other => other.Path == node.Path);
            nodes.Add(node);
            if (!host.Privileged && node.Type is "b" or "c")
            {
                rules.Add(new DeviceCgroupRule(true, node.Type, node.Major, node.Minor, asked.Permissions.Length > 0 ? asked.Permissions : "rwm"));
            }
        }

        return spec with
        {
            Process = spec.Process with
            {
                Env = Environment(spec.Process.Env, edits.Env ?? []),
                User = spec.Process.User with { AdditionalGids = [.. spec.Process.User.AdditionalGids.Union((edits.AdditionalGids ?? []).Where(gid => gid != 0))] },
            },
            Mounts = [.. spec.Mounts.Where(mount => edits.Mounts?.Any(edit => edit.ContainerPath == mount.Destination) != true), .. (edits.Mounts ?? []).OrderBy(mount => mount.ContainerPath.Count(c => c == '/')).Select(Mount)],
            Hooks = HooksSpec.Add(spec.Hooks, (edits.Hooks ?? []).Select(hook => (hook.HookName, new HookSpec(hook.Path, hook.Args, hook.Env, hook.Timeout)))),
            Linux = spec.Linux with { Devices = nodes, Resources = (spec.Linux.Resources ?? new ResourcesSpec()) with { Devices = rules } },
        };
    }

    private static MountSpec Mount(CdiMount mount) => new(
        mount.ContainerPath,
        mount.Type.Length > 0 ? mount.Type : "bind",
        mount.HostPath,
        mount.Type is "" or "bind" && mount.Options?.Any(option => option is "bind" or "rbind") != true ? [.. mount.Options ?? [], "bind"] : mount.Options ?? []);

    private static List<string> Environment(IReadOnlyList<string> environment, IReadOnlyList<string> added)
    {
        List<string> merged = [.. environment];
        foreach (string variable in added)
        {
            string name = variable[..(variable.IndexOf('=', StringComparison.Ordinal) + 1)];
            merged.RemoveAll(other => other.StartsWith(name, StringComparison.Ordinal));
            merged.Add(variable);
        }

        return merged;
    }

    /// <summary>What the specification does not say is as on the host.</summary>
    private static DeviceSpec Node(CdiDeviceNode node)
    {
        if (node.Type.Length > 0 && (node.Major != 0 || node.Type == "p"))
        {
            return new DeviceSpec(node.Path, node.Type == "u" ? "c" : node.Type, node.Major, node.Minor, node.FileMode ?? 0x1B6, node.Uid ?? 0, node.Gid ?? 0);
        }

        string path = node.HostPath.Length > 0 ? node.HostPath : node.Path;
        DeviceSpec found = DeviceSpecs.OfHost(path, node.Path)
            ?? throw ContainerErrors.Invalid($"CDI device injection failed: failed to inject devices: failed to stat CDI host device \"{path}\": no such file or directory, or no device");
        return node.Type.Length > 0 && node.Type != found.Type
            ? throw ContainerErrors.Invalid($"CDI device injection failed: CDI device (\"{node.Path}\", \"{path}\"), host type mismatch ({node.Type}, {found.Type})")
            : found with { FileMode = node.FileMode ?? found.FileMode, Uid = node.Uid ?? found.Uid, Gid = node.Gid ?? found.Gid };
    }
}
