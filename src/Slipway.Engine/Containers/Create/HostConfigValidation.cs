using System.Net;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Health;

namespace Slipway.Engine.Containers.Create;

/// <summary>Checks of the host's part of a configuration. What is not built yet is refused by name, never passed over.</summary>
internal static class HostConfigValidation
{
    private const int RlimitKinds = 16;

    /// <summary>getrlimit(2), as <c>--ulimit</c> names them.</summary>
    private static readonly HashSet<string> Ulimits = new(RlimitKinds, StringComparer.Ordinal)
    {
        "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
    };

    /// <exception cref="EngineException">InvalidParameter or NotImplemented.</exception>
    /// <param name="runtimes">Those that are registered beside our own.</param>
    public static void Validate(ContainerConfig config, HostConfig hostConfig, IReadOnlyDictionary<string, RuntimeDefinition> runtimes)
    {
        ValidateRestart(hostConfig);
        NamespaceModes.Validate(hostConfig);
        NamespaceModes.ValidateCombinations(config, hostConfig);
        LogOptions.Validate(hostConfig.LogConfig);
        _ = PortSpecs.Requests(config, hostConfig);
        if (hostConfig.OomScoreAdj is < -1000 or > 1000)
        {
            throw ContainerErrors.Invalid($"Invalid value {hostConfig.OomScoreAdj}, range for oom score adj is [-1000, 1000]");
        }

        if (hostConfig.ShmSize < 0)
        {
            throw ContainerErrors.Invalid("SHM size can not be less than 0");
        }

        if (hostConfig.Isolation is not ("" or "default"))
        {
            throw ContainerErrors.Invalid($"Invalid isolation: \"{hostConfig.Isolation}\" - linux only supports 'default'");
        }

        ValidateRuntime(hostConfig.Runtime, runtimes);
        _ = RootfsSize.Of(hostConfig);
        foreach (Ulimit ulimit in hostConfig.Ulimits ?? [])
        {
            if (!Ulimits.Contains(ulimit.Name))
            {
                throw ContainerErrors.Invalid($"invalid ulimit type: {ulimit.Name}");
            }

            if (ulimit.Hard != -1 && (ulimit.Soft == -1 || ulimit.Soft > ulimit.Hard))
            {
                throw ContainerErrors.Invalid($"ulimit soft limit must be less than or equal to hard limit: {ulimit.Soft} > {ulimit.Hard}");
            }
        }

        foreach (string address in hostConfig.Dns ?? [])
        {
            if (!IPAddress.TryParse(address, out _))
            {
                throw ContainerErrors.Invalid($"invalid IP address: {address}");
            }
        }

        foreach (string entry in hostConfig.ExtraHosts ?? [])
        {
            _ = ExtraHost.Parse(entry);
        }

        foreach (string key in hostConfig.Annotations?.Keys ?? Enumerable.Empty<string>())
        {
            if (key.Length == 0)
            {
                throw ContainerErrors.Invalid("invalid Annotations: the empty string is not permitted as an annotation key");
            }
        }

        ValidateSysctls(hostConfig);
        RefuseUnsupported(hostConfig);
    }

    internal static void ValidateRestart(HostConfig hostConfig)
    {
        RestartPolicy policy = hostConfig.RestartPolicy;
        switch (policy.Name)
        {
            case "" or "no" or "always" or "unless-stopped":
                if (policy.MaximumRetryCount != 0)
                {
                    throw ContainerErrors.Invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
                }

                break;
            case "on-failure" or RestartDecision.OnUnhealthy:
                if (policy.MaximumRetryCount < 0)
                {
                    throw ContainerErrors.Invalid("invalid restart policy: maximum retry count cannot be negative");
                }

                break;
            default:
                throw ContainerErrors.Invalid(
                    $"invalid restart policy: unknown policy '{policy.Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'");
        }

        if (hostConfig.AutoRemove && policy.Name is not ("" or "no"))
        {
            throw ContainerErrors.Invalid("can't create 'AutoRemove' container with restart policy");
        }
    }

    /// <summary>A policy about health needs a way to know it.</summary>
    /// <param name="config">With the image's defaults merged in.</param>
    internal static void RequireHealthCheck(ContainerConfig config, RestartPolicy policy)
    {
        if (policy.Name == RestartDecision.OnUnhealthy && HealthPolicy.Of(config) is null)
        {
            throw ContainerErrors.Invalid($"invalid restart policy: '{RestartDecision.OnUnhealthy}' needs a health check, of the image or by --health-cmd");
        }
    }

    private static void ValidateRuntime(string? name, IReadOnlyDictionary<string, RuntimeDefinition> runtimes)
    {
        if (!string.IsNullOrEmpty(name) && !EngineOptions.IsOwnRuntime(name) && !runtimes.ContainsKey(name))
        {
            throw ContainerErrors.Invalid($"unknown or invalid runtime name: {name}");
        }
    }

    /// <summary>Only namespaced settings may be set (the rule of the kernel's namespaces, as in Docker).</summary>
    private static void ValidateSysctls(HostConfig hostConfig)
    {
        foreach (string name in hostConfig.Sysctls?.Keys ?? Enumerable.Empty<string>())
        {
            bool ipc = name.StartsWith("fs.mqueue.", StringComparison.Ordinal)
                || name is "kernel.msgmax" or "kernel.msgmnb" or "kernel.msgmni" or "kernel.sem" or "kernel.shmall" or "kernel.shmmax" or "kernel.shmmni" or "kernel.shm_rmid_forced";
            bool network = name.StartsWith("net.", StringComparison.Ordinal);
            if (!ipc && !network)
            {
                throw ContainerErrors.Invalid($"sysctl '{name}' is not allowed: it is not namespaced");
            }

            if (name.AsSpan().ContainsAny('/', '\0') || name.Contains("..", StringComparison.Ordinal))
            {
                throw ContainerErrors.Invalid($"invalid sysctl name '{name}'");
            }

            if ((network && hostConfig.NetworkMode == NamespaceModes.Host) || (ipc && hostConfig.IpcMode == NamespaceModes.Host))
            {
                throw ContainerErrors.Invalid($"sysctl \"{name}\" not allowed in host {(network ? "network" : "ipc")} namespace");
            }
        }
    }

    private static void RefuseUnsupported(HostConfig hostConfig)
    {
        if (hostConfig.Cgroup.Length > 0)
        {
            throw ContainerErrors.Unsupported("Cgroup");
        }
    }
}
