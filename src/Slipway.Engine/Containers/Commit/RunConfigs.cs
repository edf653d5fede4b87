using Slipway.Api.Containers;
using Slipway.Oci;

namespace Slipway.Engine.Containers.Commit;

/// <summary>A container's configuration in the form an image has it.</summary>
internal static class RunConfigs
{
    public static ImageRunConfig Of(ContainerConfig config) => new()
    {
        Hostname = config.Hostname,
        Domainname = config.Domainname,
        User = config.User,
        AttachStdin = config.AttachStdin,
        AttachStdout = config.AttachStdout,
        AttachStderr = config.AttachStderr,
        ExposedPorts = Keys(config.ExposedPorts),
        Tty = config.Tty,
        OpenStdin = config.OpenStdin,
        StdinOnce = config.StdinOnce,
        Env = config.Env,
        Cmd = config.Cmd,
        Healthcheck = config.Healthcheck is not { } check ? null : new Healthcheck
        {
            Test = check.Test,
            Interval = check.Interval,
            Timeout = check.Timeout,
            Retries = check.Retries,
            StartPeriod = check.StartPeriod,
            StartInterval = check.StartInterval,
        },
        ArgsEscaped = config.ArgsEscaped ? true : null,
        Image = config.Image,
        Volumes = Keys(config.Volumes),
        WorkingDir = config.WorkingDir,
        Entrypoint = config.Entrypoint,
        NetworkDisabled = config.NetworkDisabled ? true : null,
        MacAddress = config.MacAddress,
        OnBuild = config.OnBuild,
        Labels = config.Labels,
        StopSignal = config.StopSignal,
        StopTimeout = config.StopTimeout,
        Shell = config.Shell,
    };

    private static Dictionary<string, Oci.EmptyObject>? Keys(Dictionary<string, Api.Containers.EmptyObject>? keys) =>
        keys?.Keys.ToDictionary(key => key, _ => Oci.EmptyObject.Value);
}
