using System.CommandLine;
using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Cli.Options;

/// <summary>The options of <c>run</c> and <c>create</c> that describe the container, and the request they make.</summary>
internal sealed class ContainerOptions
{
    private readonly List<Action<ParseResult, ContainerCreateRequest, HostConfig>> _bindings = [];

    public ContainerOptions(Command command)
    {
        Identity(command);
        Streams(command);
        Process(command);
        Network(command);
        Storage(command);
        Limits(command);
        Security(command);
        Health(command);
        command.Arguments.Add(Image);
        command.Arguments.Add(Arguments);
    }

    public Argument<string> Image { get; } = new("IMAGE") { Description = "Image to run", CompletionSources = { Completion.Images } };

    /// <summary>Everything behind the image is the container's, dashes and all.</summary>
    public Argument<string[]> Arguments { get; } = new("COMMAND") { Description = "Command and its arguments", Arity = ArgumentArity.ZeroOrMore, CaptureRemainingTokens = true };

    public Option<string?> Name { get; } = new("--name") { Description = "Assign a name to the container" };

    public Option<string?> Pull { get; } = new("--pull") { Description = "Pull image before running (\"always\", \"missing\", \"never\")" };

    public Option<bool> Quiet { get; } = new("--quiet", "-q") { Description = "Suppress the pull output" };

    public Option<bool> DisableContentTrust { get; } = new("--disable-content-trust") { Description = "Skip image verification", DefaultValueFactory = _ => true };

    public Option<string?> Platform { get; } = new("--platform") { Description = "Set platform if server is multi-platform capable" };

    public Option<string?> CidFile { get; } = new("--cidfile") { Description = "Write the container ID to the file" };

    public Option<bool> Interactive { get; } = new("--interactive", "-i") { Description = "Keep STDIN open even if not attached" };

    public Option<bool> Tty { get; } = new("--tty", "-t") { Description = "Allocate a pseudo-TTY" };

    public Option<bool> AutoRemove { get; } = new("--rm") { Description = "Automatically remove the container and its associated anonymous volumes when it exits" };

    /// <summary>The request that the parsed options describe.</summary>
    /// <exception cref="CommandException">A value is malformed.</exception>
    public ContainerCreateRequest Build(ParseResult result)
    {
        string image = result.GetValue(Image)!;
        if (image.StartsWith('-'))
        {
            throw new CommandException($"unknown flag: {image}");
        }

        HostConfig host = new() { NetworkMode = "default" };
        string[] arguments = result.GetValue(Arguments) ?? [];
        ContainerCreateRequest request = new() { Image = image, HostConfig = host, Cmd = arguments.Length > 0 ? [.. arguments] : null };
        foreach (Action<ParseResult, ContainerCreateRequest, HostConfig> binding in _bindings)
        {
            binding(result, request, host);
        }

        return request;
    }

    private void Identity(Command command)
    {
        command.Options.Add(Name);
        command.Options.Add(Platform);
        command.Options.Add(Pull);
        command.Options.Add(Quiet);
        command.Options.Add(DisableContentTrust);
        command.Options.Add(CidFile);
        Text(command, (request, _, value) => request.Hostname = value, "Container host name", "--hostname", "-h");
        Text(command, (request, _, value) => request.Domainname = value, "Container NIS domain name", "--domainname");
        List(command, (request, _, values) => request.Labels = KeyValues.Labels(request.Labels, values), "Set meta data on a container", "--label", "-l");
        List(command, (request, _, values) => request.Labels = KeyValues.Labels(request.Labels, KeyValues.Files(values)), "Read in a line delimited file of labels", "--label-file");
        List(command, (_, host, values) => host.Annotations = KeyValues.Pairs(values), "Add an annotation to the container (passed through to the OCI runtime)", "--annotation");
        Text(command, (_, host, value) => host.RestartPolicy = Restart(value), "Restart policy to apply when a container exits", "--restart");
        List(command, (_, host, values) => host.Requires = values, "Start only when another container runs, or is healthy (NAME[:healthy])", "--requires");
        Flag(command, AutoRemove, (_, host) => host.AutoRemove = true);
        Text(command, (request, _, value) => request.StopSignal = value, "Signal to stop the container", "--stop-signal");
        Number(command, (request, _, value) => request.StopTimeout = (int)value, "Timeout (in seconds) to stop a container", "--stop-timeout");
        Text(command, (_, host, value) => host.Runtime = value, "Runtime to use for this container", "--runtime");
        Text(command, (_, host, value) => host.LogConfig.Type = value, "Logging driver for the container", "--log-driver");
        List(command, (_, host, values) => host.LogConfig.Config = KeyValues.Pairs(values), "Log driver options", "--log-opt");
    }

    private void Streams(Command command)
    {
        Flag(command, Interactive, (request, _) => request.OpenStdin = true);
        Flag(command, Tty, (request, _) => request.Tty = true);
    }

    private void Process(Command command)
    {
        Text(command, (request, _, value) => request.Entrypoint = value.Length == 0 ? [""] : [value], "Overwrite the default ENTRYPOINT of the image", "--entrypoint");
        List(command, (request, _, values) => request.Env = [.. KeyValues.Environment(KeyValues.Files(values)), .. request.Env ?? []], "Read in a file of environment variables", "--env-file");
        List(command, (request, _, values) => request.Env = [.. request.Env ?? [], .. KeyValues.Environment(values)], "Set environment variables", "--env", "-e");
        Text(command, (request, _, value) => request.User = value, "Username or UID (format: <name|uid>[:<group|gid>])", "--user", "-u");
        Text(command, (request, _, value) => request.WorkingDir = value, "Working directory inside the container", "--workdir", "-w");
        Option<bool> init = new("--init") { Description = "Run an init inside the container that forwards signals and reaps processes" };
        Flag(command, init, (_, host) => host.Init = true);
        List(command, (_, host, values) => host.GroupAdd = values, "Add additional groups to join", "--group-add");
    }

    private void Network(Command command)
    {
        Text(command, (_, host, value) => host.NetworkMode = value, "Connect a container to a network", "--network", "--net");
        List(command, (request, host, values) =>
        {
            request.ExposedPorts ??= [];
            host.PortBindings ??= [];
            foreach (string value in values)
            {
                PortSpec.Publish(value, request.ExposedPorts, host.PortBindings);
            }
        }, "Publish a container's port(s) to the host", "--publish", "-p");
        List(command, (request, _, values) =>
        {
            request.ExposedPorts ??= [];
            foreach (string value in values)
            {
                PortSpec.Expose(value, request.ExposedPorts);
            }
        }, "Expose a port or a range of ports", "--expose");
        Option<bool> publishAll = new("--publish-all", "-P") { Description = "Publish all exposed ports to random ports" };
        Flag(command, publishAll, (_, host) => host.PublishAllPorts = true);
        List(command, (_, host, values) => host.Dns = values, "Set custom DNS servers", "--dns");
        List(command, (_, host, values) => host.DnsOptions = values, "Set DNS options", "--dns-option");
        List(command, (_, host, values) => host.DnsSearch = values, "Set custom DNS search domains", "--dns-search");
        List(command, (_, host, values) => host.ExtraHosts = values, "Add a custom host-to-IP mapping (host:ip)", "--add-host");
        Text(command, (request, _, value) => request.MacAddress = value, "Container MAC address (e.g., 92:d0:c6:0a:29:33)", "--mac-address");
    }

    private void Storage(Command command)
    {
        List(command, (_, host, values) => host.Binds = [.. values.Select(AbsoluteSource)], "Bind mount a volume", "--volume", "-v");
        List(command, (_, host, values) => host.Mounts = [.. values.Select(MountSpec.Parse)], "Attach a filesystem mount to the container", "--mount");
        List(command, (_, host, values) => host.VolumesFrom = values, "Mount volumes from the specified container(s)", "--volumes-from");
        List(command, (_, host, values) => host.Tmpfs = values.Select(v => v.Split(':', 2)).ToDictionary(v => v[0], v => v.Length > 1 ? v[1] : ""), "Mount a tmpfs directory", "--tmpfs");
        Text(command, (_, host, value) => host.ShmSize = Quantities.Bytes(value), "Size of /dev/shm", "--shm-size");
        Option<bool> readOnly = new("--read-only") { Description = "Mount the container's root filesystem as read only" };
        Flag(command, readOnly, (_, host) => host.ReadonlyRootfs = true);
        List(command, (_, host, values) => host.Secrets = [.. values.Select(SecretOption.Parse)], "Secret to expose to the container (NAME[:TARGET])", "--secret");
        List(command, (_, host, values) => host.StorageOpt = KeyValues.Pairs(values), "Storage driver options for the container", "--storage-opt");
    }

    private void Limits(Command command)
    {
        Text(command, (_, host, value) => host.Memory = Quantities.Bytes(value), "Memory limit", "--memory", "-m");
        Text(command, (_, host, value) => host.MemoryReservation = Quantities.Bytes(value), "Memory soft limit", "--memory-reservation");
        Text(command, (_, host, value) => host.MemorySwap = Quantities.BytesOrUnlimited(value), "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", "--memory-swap");
        Number(command, (_, host, value) => host.MemorySwappiness = value, "Tune container memory swappiness (0 to 100)", "--memory-swappiness");
        Text(command, (_, host, value) => host.NanoCpus = Quantities.NanoCpus(value), "Number of CPUs", "--cpus");
        Number(command, (_, host, value) => host.CpuShares = value, "CPU shares (relative weight)", "--cpu-shares", "-c");
        Number(command, (_, host, value) => host.CpuPeriod = value, "Limit CPU CFS (Completely Fair Scheduler) period", "--cpu-period");
        Number(command, (_, host, value) => host.CpuQuota = value, "Limit CPU CFS (Completely Fair Scheduler) quota", "--cpu-quota");
        Text(command, (_, host, value) => host.CpusetCpus = value, "CPUs in which to allow execution (0-3, 0,1)", "--cpuset-cpus");
        Text(command, (_, host, value) => host.CpusetMems = value, "MEMs in which to allow execution (0-3, 0,1)", "--cpuset-mems");
        Number(command, (_, host, value) => host.PidsLimit = value, "Tune container pids limit (set -1 for unlimited)", "--pids-limit");
        Number(command, (_, host, value) => host.BlkioWeight = checked((ushort)value), "Block IO (relative weight), between 10 and 1000, or 0 to disable", "--blkio-weight");
        List(command, (_, host, values) => host.Ulimits = [.. values.Select(KeyValues.ParseUlimit)], "Ulimit options", "--ulimit");
        Option<bool> noOomKill = new("--oom-kill-disable") { Description = "Disable OOM Killer" };
        Flag(command, noOomKill, (_, host) => host.OomKillDisable = true);
        Number(command, (_, host, value) => host.OomScoreAdj = (int)value, "Tune host's OOM preferences (-1000 to 1000)", "--oom-score-adj");
        Text(command, (_, host, value) => host.CgroupParent = value, "Optional parent cgroup for the container", "--cgroup-parent");
    }

    private void Security(Command command)
    {
        Option<bool> privileged = new("--privileged") { Description = "Give extended privileges to this container" };
        Flag(command, privileged, (_, host) => host.Privileged = true);
        List(command, (_, host, values) => host.CapAdd = values, "Add Linux capabilities", "--cap-add");
        List(command, (_, host, values) => host.CapDrop = values, "Drop Linux capabilities", "--cap-drop");
        List(command, (_, host, values) => host.SecurityOpt = [.. values.Select(SecurityOption)], "Security Options", "--security-opt");
        List(command, (_, host, values) => host.Devices = [.. values.Select(KeyValues.ParseDevice)], "Add a host device to the container", "--device");
        List(command, (_, host, values) => host.DeviceCgroupRules = values, "Add a rule to the cgroup allowed devices list", "--device-cgroup-rule");
        List(command, (_, host, values) => host.Sysctls = KeyValues.Pairs(values), "Sysctl options", "--sysctl");
        Text(command, (_, host, value) => host.PidMode = value, "PID namespace to use", "--pid");
        Text(command, (_, host, value) => host.IpcMode = value, "IPC mode to use", "--ipc");
        Text(command, (_, host, value) => host.UTSMode = value, "UTS namespace to use", "--uts");
        Text(command, (_, host, value) => host.UsernsMode = value, "User namespace to use", "--userns");
        Text(command, (_, host, value) => host.CgroupnsMode = value, "Cgroup namespace to use (host|private)", "--cgroupns");
    }

    private void Health(Command command)
    {
        Text(command, (request, _, value) => Check(request).Test = ["CMD-SHELL", value], "Command to run to check health", "--health-cmd");
        Text(command, (request, _, value) => Check(request).Interval = Nanoseconds(value), "Time between running the check (ms|s|m|h)", "--health-interval");
        Number(command, (request, _, value) => Check(request).Retries = (int)value, "Consecutive failures needed to report unhealthy", "--health-retries");
        Text(command, (request, _, value) => Check(request).Timeout = Nanoseconds(value), "Maximum time to allow one check to run (ms|s|m|h)", "--health-timeout");
        Text(command, (request, _, value) => Check(request).StartPeriod = Nanoseconds(value), "Start period for the container to initialize", "--health-start-period");
        Text(command, (request, _, value) => Check(request).StartInterval = Nanoseconds(value), "Time between running the check during the start period", "--health-start-interval");
        Option<bool> none = new("--no-healthcheck") { Description = "Disable any container-specified HEALTHCHECK" };
        Flag(command, none, (request, _) => request.Healthcheck = new HealthConfig { Test = ["NONE"] });

        static HealthConfig Check(ContainerCreateRequest request) => request.Healthcheck ??= new HealthConfig();

        static long Nanoseconds(string value) => Quantities.Duration(value).Ticks * 100;
    }

    private void Text(Command command, Action<ContainerCreateRequest, HostConfig, string> set, string description, string name, params string[] aliases)
    {
        Option<string?> option = new(name, aliases) { Description = description };
        command.Options.Add(option);
        _bindings.Add((result, request, host) =>
        {
            if (result.GetValue(option) is { } value)
            {
                set(request, host, value);
            }
        });
    }

    private void Number(Command command, Action<ContainerCreateRequest, HostConfig, long> set, string description, string name, params string[] aliases) =>
        Text(command, (request, host, text) =>
        {
            if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value))
            {
                throw new CommandException($"invalid argument \"{text}\" for \"{name}\" flag: strconv.ParseInt: parsing \"{text}\": invalid syntax");
            }

            set(request, host, value);
        }, description, name, aliases);

    private void List(Command command, Action<ContainerCreateRequest, HostConfig, List<string>> set, string description, string name, params string[] aliases)
    {
        Option<string[]> option = new(name, aliases) { Description = description };
        command.Options.Add(option);
        _bindings.Add((result, request, host) =>
        {
            if (result.GetValue(option) is { Length: > 0 } values)
            {
                set(request, host, [.. values]);
            }
        });
    }

    private void Flag(Command command, Option<bool> option, Action<ContainerCreateRequest, HostConfig> set)
    {
        command.Options.Add(option);
        _bindings.Add((result, request, host) =>
        {
            if (result.GetValue(option))
            {
                set(request, host);
            }
        });
    }

    internal static RestartPolicy Restart(string value)
    {
        string[] parts = value.Split(':', 2);
        int count = 0;
        return parts.Length == 1 || int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out count)
            ? new RestartPolicy(parts[0], count)
            : throw new CommandException("invalid restart policy format: maximum retry count must be an integer");
    }

    /// <summary>A bind's source may be relative to the caller's directory; the engine knows only absolute ones.</summary>
    private static string AbsoluteSource(string bind)
    {
        int colon = bind.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && bind.StartsWith('.') ? Path.GetFullPath(bind[..colon]) + bind[colon..] : bind;
    }

    /// <summary>A seccomp profile is named as a file here and sent as its text.</summary>
    private static string SecurityOption(string option)
    {
        string[] parts = option.Split(option.Contains('=', StringComparison.Ordinal) ? '=' : ':', 2);
        if (parts is not ["seccomp", var profile] || profile is "unconfined" or "builtin")
        {
            return option;
        }

        try
        {
            return "seccomp=" + File.ReadAllText(profile);
        }
        catch (IOException exception)
        {
            throw new CommandException($"opening seccomp profile ({profile}) failed: {exception.Message}");
        }
    }
}
