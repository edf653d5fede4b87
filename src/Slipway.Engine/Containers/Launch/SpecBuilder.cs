using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Users;
using Slipway.Networking;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;

namespace Slipway.Engine.Containers.Launch;

/// <summary>What the launch found out before the specification is written.</summary>
/// <param name="User">The user, with groups, as the image's passwd and group files say.</param>
/// <param name="Home">The user's home directory.</param>
/// <param name="Directory">The container's directory on the host, with resolv.conf, hosts and hostname.</param>
/// <param name="SharedNamespaces">Namespaces of other containers to join, by type: their paths.</param>
/// <param name="Defaults">Of the engine, for what the container leaves open.</param>
/// <param name="LinkVariables">What <c>--link</c> adds to the environment.</param>
/// <param name="SharedMemory">The directory of the host that is its /dev/shm; null: one that nobody shares.</param>
/// <param name="Users">The ids of the container's user namespace; null: the host's own.</param>
internal sealed record LaunchInputs(
    UserSpec User,
    string Home,
    string Directory,
    string CgroupsPath,
    CgroupMode CgroupMode,
    IReadOnlyDictionary<string, string> SharedNamespaces,
    IReadOnlyList<string> LinkVariables,
    ContainerDefaults Defaults,
    string? SharedMemory = null,
    IdMaps? Users = null,
    bool BoundByProjects = false);

/// <summary>A container's configuration as an OCI runtime specification, with Docker's defaults.</summary>
internal static class SpecBuilder
{
    private const int MaximumCapabilitySets = 64;

    private const string DefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private static readonly ConcurrentDictionary<string, SeccompSpec?> _defaultSeccomp = new(StringComparer.Ordinal);

    /// <exception cref="EngineException">A device of the host is missing, or the seccomp profile is not valid.</exception>
    public static Spec Build(ContainerSnapshot container, LaunchInputs inputs)
    {
        ContainerConfig config = container.Config;
        HostConfig host = container.HostConfig;
        SecurityOptions security = SecurityOptions.Parse(host.SecurityOpt, inputs.Defaults.NoNewPrivileges);
        DeviceSpecs devices = DeviceSpecs.Gather(host);
        CapabilitySets capabilities = Capabilities(host, inputs.User);
        bool privateUts = host.UTSMode != NamespaceModes.Host;
        return new Spec
        {
            Process = new ProcessSpec
            {
                Terminal = config.Tty,
                ConsoleSize = host.ConsoleSize is [> 0, > 0] size ? new ConsoleSize(size[0], size[1]) : null,
                User = inputs.User,
                Args = [.. config.Entrypoint ?? [], .. config.Cmd ?? []],
                Env = Environment(config, config.Tty, inputs.Home, inputs.LinkVariables),
                Cwd = config.WorkingDir.Length == 0 ? "/" : config.WorkingDir,
                Capabilities = capabilities,
                Rlimits = [.. (host.Ulimits ?? []).Select(ulimit => new RlimitSpec("RLIMIT_" + ulimit.Name.ToUpperInvariant(), Limit(ulimit.Soft), Limit(ulimit.Hard)))],
                NoNewPrivileges = security.NoNewPrivileges,
                OomScoreAdj = host.OomScoreAdj,
            },
            Root = new RootSpec("", host.ReadonlyRootfs),
            Hostname = privateUts ? config.Hostname : null,
            Domainname = privateUts && config.Domainname.Length > 0 ? config.Domainname : null,
            Mounts = SpecMounts.Build(container, inputs),
            Annotations = host.Annotations,
            Linux = new LinuxSpec
            {
                Namespaces = [.. Namespaces(host, inputs.SharedNamespaces), .. (ReadOnlySpan<NamespaceSpec>)(inputs.Users is null ? [] : [new("user")])],
                UidMappings = Mappings(inputs.Users?.Users),
                GidMappings = Mappings(inputs.Users?.Groups),
                Devices = devices.Nodes,
                CgroupsPath = inputs.CgroupsPath,
                Resources = SpecResources.Build(host, devices.Rules),
                Seccomp = Seccomp(host, security, capabilities, inputs.Defaults, inputs.BoundByProjects),
                Sysctl = Sysctls(host, inputs.Users is not null),
                MaskedPaths = host.MaskedPaths ?? [],
                ReadonlyPaths = host.ReadonlyPaths ?? [],
            },
        };

        static ulong Limit(long value) => value < 0 ? ulong.MaxValue : (ulong)value;
    }

    private static IReadOnlyList<IdMappingSpec> Mappings(IdMap? map) => [.. (map?.Ranges ?? []).Select(range => new IdMappingSpec(range.Inside, range.Outside, range.Count))];

    /// <summary>Defaults, then the configuration's entries, which replace a default of the same name; one without <c>=</c> removes it. HOME comes last.</summary>
    /// <param name="links">Those of linked containers.</param>
    /// <param name="further">Those of an exec.</param>
    internal static IReadOnlyList<string> Environment(
        ContainerConfig config, bool terminal, string home, IReadOnlyList<string> links, IReadOnlyList<string>? further = null)
    {
        List<string> environment = [DefaultPath, $"HOSTNAME={config.Hostname}"];
        if (terminal)
        {
            environment.Add("TERM=xterm");
        }

        environment.AddRange(links);
        Override(environment, config.Env);
        Override(environment, further);
        if (!environment.Exists(entry => entry.StartsWith("HOME=", StringComparison.Ordinal)))
        {
            environment.Add($"HOME={home}");
        }

        return environment;
    }

    /// <summary>Sets the variables of <paramref name="entries"/> in place.</summary>
    private static void Override(List<string> environment, IReadOnlyList<string>? entries)
    {
        foreach (string entry in entries ?? [])
        {
            int equals = entry.IndexOf('=', StringComparison.Ordinal);
            string prefix = equals < 0 ? entry + "=" : entry[..(equals + 1)];
            int existing = environment.FindIndex(other => other.StartsWith(prefix, StringComparison.Ordinal));
            if (existing < 0 && equals >= 0)
            {
                environment.Add(entry);
            }
            else if (existing >= 0 && equals >= 0)
            {
                environment[existing] = entry;
            }
            else if (existing >= 0)
            {
                environment.RemoveAt(existing);
            }
        }
    }

    internal static CapabilitySets Capabilities(HostConfig host, UserSpec user) =>
        CapabilityPolicy.Sets(CapabilityPolicy.Resolve(host.CapAdd ?? [], host.CapDrop ?? [], host.Privileged), root: user.Uid == 0);

    /// <param name="boundByProjects">Whether project quotas bound what containers write; whoever administers the system can change them anyway.</param>
    internal static SeccompSpec? Seccomp(HostConfig host, SecurityOptions security, CapabilitySets capabilities, ContainerDefaults defaults, bool boundByProjects)
    {
        string? named = security.Seccomp ?? defaults.SeccompProfile;
        if (named == SecurityOptions.Unconfined || (host.Privileged && security.Seccomp is null))
        {
            return null;
        }

        bool guarded = boundByProjects && !capabilities.Bounding.Contains("CAP_SYS_ADMIN");
        return named is { } text and not SecurityOptions.BuiltIn
            ? Resolve(SeccompProfileReader.Parse(text), capabilities.Bounding, guarded)
            : DefaultSeccomp(capabilities.Bounding, guarded);
    }

    /// <summary>The default profile for a bounding set: the same object again, by which <see cref="SeccompCompiler"/> knows it.</summary>
    private static SeccompSpec? DefaultSeccomp(IReadOnlyCollection<string> bounding, bool guarded)
    {
        string key = guarded ? string.Join(' ', [nameof(ProjectGuard), .. bounding]) : string.Join(' ', bounding);
        if (_defaultSeccomp.TryGetValue(key, out SeccompSpec? known))
        {
            return known;
        }

        if (_defaultSeccomp.Count >= MaximumCapabilitySets)
        {
            _defaultSeccomp.Clear();
        }

        return _defaultSeccomp.GetOrAdd(key, _ => Resolve(SeccompProfile.Default, bounding, guarded));
    }

    private static SeccompSpec? Resolve(SeccompProfile profile, IReadOnlyCollection<string> bounding, bool guarded)
    {
        SeccompSpec? resolved = profile.Resolve(bounding, RuntimeInformation.OSArchitecture, System.Environment.OSVersion.Version);
        return guarded && resolved is not null ? ProjectGuard.Apply(resolved) : resolved;
    }

    /// <param name="shared">Namespaces of other containers to join: type to path.</param>
    internal static IReadOnlyList<NamespaceSpec> Namespaces(HostConfig host, IReadOnlyDictionary<string, string> shared)
    {
        List<NamespaceSpec> namespaces = [new("mount")];
        Add("network", host.NetworkMode);
        Add("uts", host.UTSMode);
        Add("pid", host.PidMode);
        Add("ipc", host.IpcMode);
        Add("cgroup", host.CgroupnsMode);
        return namespaces;

        void Add(string type, string mode)
        {
            if (mode != NamespaceModes.Host)
            {
                namespaces.Add(new NamespaceSpec(type, shared.GetValueOrDefault(type)));
            }
        }
    }

    /// <summary>As in Docker, ping and low ports work without capabilities where the network namespace is the container's own.</summary>
    private static Dictionary<string, string> Sysctls(HostConfig host, bool remapped)
    {
        Dictionary<string, string> sysctls = [];
        if (host.NetworkMode != NamespaceModes.Host && NamespaceModes.SharedWith(host.NetworkMode) is null)
        {
            foreach ((string name, string value) in SandboxSettings.Docker)
            {
                // A user namespace has no such groups; there, its network namespace was set up from outside.
                if (!remapped || name != "net.ipv4.ping_group_range")
                {
                    sysctls[name] = value;
                }
            }
        }

        foreach ((string name, string value) in host.Sysctls ?? [])
        {
            sysctls[name] = value;
        }

        return sysctls;
    }
}
