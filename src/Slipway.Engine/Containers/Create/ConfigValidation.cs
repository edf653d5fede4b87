using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Create;

/// <summary>Checks of the portable configuration, before the image is looked up. Texts are Docker's.</summary>
internal static class ConfigValidation
{
    private const long Millisecond = 1_000_000;

    /// <exception cref="EngineException">InvalidParameter, or NotImplemented naming the option.</exception>
    public static void Validate(ContainerConfig config)
    {
        foreach (string entry in config.Env ?? [])
        {
            if (entry.Length == 0 || entry[0] == '=')
            {
                throw ContainerErrors.Invalid($"invalid environment variable: {entry}");
            }
        }

        if (config.WorkingDir.Length > 0 && config.WorkingDir[0] != '/')
        {
            throw ContainerErrors.Invalid($"the working directory '{config.WorkingDir}' is invalid, it needs to be an absolute path");
        }

        if (!string.IsNullOrEmpty(config.StopSignal))
        {
            Signals.Parse(config.StopSignal);
        }

        // uname(2): the kernel's host and domain names have at most 64 bytes.
        if (config.Hostname.Length > 64 || config.Domainname.Length > 64)
        {
            throw ContainerErrors.Invalid($"invalid hostname \"{config.Hostname}\": more than 64 characters");
        }

        foreach (string text in Texts(config))
        {
            if (text.Contains('\0', StringComparison.Ordinal))
            {
                throw ContainerErrors.Invalid("a command, environment variable, name or path contains a NUL character");
            }
        }

        _ = PortSpecs.Exposed(config).Count();
        ValidateHealth(config.Healthcheck);
        if (config.NetworkDisabled)
        {
            throw ContainerErrors.Unsupported("NetworkDisabled; use --network none");
        }
    }

    private static void ValidateHealth(HealthConfig? health)
    {
        if (health is null)
        {
            return;
        }

        Check("Interval", health.Interval);
        Check("Timeout", health.Timeout);
        Check("StartPeriod", health.StartPeriod);
        Check("StartInterval", health.StartInterval);
        if (health.Retries < 0)
        {
            throw ContainerErrors.Invalid("Retries in Healthcheck cannot be negative");
        }

        static void Check(string name, long nanoseconds)
        {
            if (nanoseconds is not 0 and < Millisecond)
            {
                throw ContainerErrors.Invalid($"{name} in Healthcheck cannot be less than 1ms");
            }
        }
    }

    private static IEnumerable<string> Texts(ContainerConfig config) =>
        [config.Hostname, config.Domainname, config.User, config.WorkingDir, .. config.Cmd ?? [], .. config.Entrypoint ?? [], .. config.Env ?? []];
}
