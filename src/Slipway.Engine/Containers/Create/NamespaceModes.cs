using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Create;

/// <summary>The words of <c>--network</c>, <c>--pid</c>, <c>--ipc</c>, <c>--uts</c>, <c>--cgroupns</c> and <c>--userns</c>.</summary>
internal static class NamespaceModes
{
    public const string Host = "host";
    public const string Private = "private";
    public const string Bridge = "bridge";
    public const string None = "none";
    public const string Shareable = "shareable";

    private const string ContainerPrefix = "container:";

    /// <summary>The reference in <c>container:x</c>, or null.</summary>
    public static string? SharedWith(string mode) =>
        mode.StartsWith(ContainerPrefix, StringComparison.Ordinal) ? mode[ContainerPrefix.Length..] : null;

    public static string OfContainer(string id) => ContainerPrefix + id;

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static void Validate(HostConfig hostConfig)
    {
        if (hostConfig.PidMode is not ("" or Host or Private) && SharedWith(hostConfig.PidMode) is null or "")
        {
            throw ContainerErrors.Invalid($"invalid PID mode: {hostConfig.PidMode}");
        }

        if (hostConfig.IpcMode is not ("" or Host or Private or Shareable or None) && SharedWith(hostConfig.IpcMode) is null or "")
        {
            throw ContainerErrors.Invalid($"invalid IPC mode: {hostConfig.IpcMode}");
        }

        if (hostConfig.UTSMode is not ("" or Host))
        {
            throw ContainerErrors.Invalid($"invalid UTS mode: {hostConfig.UTSMode}");
        }

        if (hostConfig.CgroupnsMode is not ("" or Host or Private))
        {
            throw ContainerErrors.Invalid($"invalid cgroup namespace mode: {hostConfig.CgroupnsMode}");
        }

        if (hostConfig.UsernsMode is not ("" or Host))
        {
            throw ContainerErrors.Invalid($"invalid USER mode: {hostConfig.UsernsMode}");
        }

        if (SharedWith(hostConfig.NetworkMode) is "")
        {
            throw ContainerErrors.Invalid("invalid container format container:<name|id>");
        }
    }

    /// <summary>A network that always is, or the network namespace of another container.</summary>
    public static bool IsPredefined(string networkMode) => networkMode is Bridge or Host or None || SharedWith(networkMode) is not null;

    /// <summary>What Docker refuses a container with a user namespace of its own: all of it would need the host's privileges.</summary>
    public static void ValidateRemapped(HostConfig hostConfig)
    {
        if (hostConfig.UsernsMode == Host)
        {
            return;
        }

        if (hostConfig.Privileged)
        {
            throw ContainerErrors.Invalid("privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode");
        }

        if (hostConfig.NetworkMode == Host)
        {
            throw ContainerErrors.Invalid("cannot share the host's network namespace when user namespaces are enabled");
        }

        if (hostConfig.PidMode == Host)
        {
            throw ContainerErrors.Invalid("cannot share the host PID namespace when user namespaces are enabled");
        }
    }

    /// <summary>The combinations Docker refuses.</summary>
    public static void ValidateCombinations(ContainerConfig config, HostConfig hostConfig)
    {
        bool sharesNetwork = SharedWith(hostConfig.NetworkMode) is not null;
        if (sharesNetwork && config.Hostname.Length > 0)
        {
            throw ContainerErrors.Invalid("conflicting options: hostname and the network mode");
        }

        if (sharesNetwork && hostConfig.PortBindings is { Count: > 0 })
        {
            throw ContainerErrors.Invalid("conflicting options: port publishing and the container type network mode");
        }

        if (sharesNetwork && config.ExposedPorts is { Count: > 0 })
        {
            throw ContainerErrors.Invalid("conflicting options: port exposing and the container type network mode");
        }

        if (sharesNetwork && hostConfig.Dns is { Count: > 0 })
        {
            throw ContainerErrors.Invalid("conflicting options: dns and the network mode");
        }

        if (sharesNetwork && hostConfig.ExtraHosts is { Count: > 0 })
        {
            throw ContainerErrors.Invalid("conflicting options: custom host-to-IP mapping and the network mode");
        }

        if (hostConfig.UTSMode == Host && config.Hostname.Length > 0)
        {
            throw ContainerErrors.Invalid("conflicting options: hostname and the UTS mode");
        }
    }
}
