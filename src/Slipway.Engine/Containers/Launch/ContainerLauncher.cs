using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Cdi;
using Slipway.Engine.Containers.Checkpoints;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Foreign;
using Slipway.Engine.Containers.Hooks;
using Slipway.Engine.Containers.Links;
using Slipway.Engine.Containers.State;
using Slipway.Engine.Logging;
using Slipway.Engine.Secrets;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Networking;
using Slipway.Oci;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Confinement;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Containers.Launch;

internal sealed record LaunchedContainer(LaunchedProcess Process, AttachedNetworks Networks);

/// <summary>
/// Starts a container: mounts its root file system, attaches its network, makes its cgroups, compiles the plan and hands it to
/// the supervisor. What a failed step leaves is undone before the error is told.
/// </summary>
internal sealed class ContainerLauncher(EngineServices services, ContainerIndex index, ContainerLinks links)
{
    private readonly IpcSharing _ipc = new(services, index);

    /// <param name="attachments">Consumed, also where the launch fails.</param>
    /// <param name="checkpoint">The directory of what it goes on from; null: it starts from the beginning.</param>
    public async Task<LaunchedContainer> LaunchAsync(ContainerSnapshot container, IReadOnlyList<Attachment> attachments, string? checkpoint = null)
    {
        Attempt attempt = new();
        try
        {
            return await LaunchAsync(container, attachments, checkpoint, attempt);
        }
        catch
        {
            await UndoAsync(container, attempt);
            foreach (Attachment attachment in attachments)
            {
                attachment.Socket.Dispose();
            }

            throw;
        }
    }

    /// <summary>
    /// The plan that starts the container, as text; nothing is started, and nothing stays. Of one that runs or is copied from the plan is made over an
    /// upper directory of its own: one directory in two mounts would be undefined (overlayfs.rst, "Sharing and copying layers").
    /// </summary>
    public async Task<string> ExplainAsync(ContainerSnapshot container, bool upperInUse)
    {
        if (ForeignRuntimes.IsForeign(container.HostConfig))
        {
            throw ContainerErrors.Invalid($"container {container.Name} is run by the runtime {container.HostConfig.Runtime}, whose system calls only that knows");
        }

        bool running = container.State.IsLive;
        string rootfsId = upperInUse ? Identifiers.New() : container.Id;
        Attempt attempt = new();
        try
        {
            attempt.Users = Users(container);
            attempt.Rootfs = await MountRootfsAsync(container, rootfsId, attempt.Users);
            container = await MountVolumesAsync(container, rootfsId, attempt);
            string directory = services.ContainerDirectory(container.Id);
            if (!running)
            {
                NetworkFiles.Write(directory, container, AttachedNetworks.None, services.HostGateways, []);
            }

            using Sandbox? sandbox = await SandboxAsync(container, attempt.Users);
            ShareMemory(container, attempt, running);
            Spec spec = BuildSpec(container, attempt, directory, links.Environment(container));
            attempt.Grouped = !running;
            using Cgroup group = running
                ? services.Cgroups.TryOpen(spec.Linux.CgroupsPath) ?? throw ContainerErrors.NotRunning(container.Id)
                : services.Cgroups.Create(spec.Linux.CgroupsPath, spec.Linux.Resources);
            PlanContext context = Context(container, spec, attempt, sandbox, group);
            using CompiledPlan plan = PlanCompiler.Compile(spec, spec.Hooks is null ? context : context with { Hooks = HookedLaunch.Shown(services.Foreign.BundleOf(container.Id)) });
            return PlanPrinter.Print(plan.Plan);
        }
        finally
        {
            await UndoAsync(container, attempt);
            if (upperInUse)
            {
                await services.Data.Snapshots.RemoveAsync(rootfsId);
            }
        }
    }

    private async Task<LaunchedContainer> LaunchAsync(ContainerSnapshot container, IReadOnlyList<Attachment> attachments, string? checkpoint, Attempt attempt)
    {
        PrepareBinds(container);
        attempt.Users = Users(container);
        container = await MountVolumesAsync(container, container.Id, attempt);
        ShareMemory(container, attempt, running: false);

        IReadOnlyList<ResolvedLink> linked = links.Resolve(container);

        // The driver attaches by netlink on a thread of its own while this one mounts and makes cgroups.
        using Sandbox? sandbox = await SandboxAsync(container, attempt.Users);
        attempt.Attaching = sandbox is null ? null : services.ContainerNetworks.AttachAsync(container, sandbox);
        attempt.Rootfs = await MountRootfsAsync(container, container.Id, attempt.Users);
        string directory = services.ContainerDirectory(container.Id);
        Spec spec = BuildSpec(container, attempt, directory, [.. linked.SelectMany(link => link.Environment())]);
        using Cgroup group = services.Cgroups.Create(spec.Linux.CgroupsPath, spec.Linux.Resources);
        attempt.Grouped = true;
        AttachedNetworks networks = attempt.Attaching is null ? AttachedNetworks.None : await attempt.Attaching;
        NetworkFiles.Write(directory, container, networks, services.HostGateways, linked);
        PlanContext context = Context(container, spec, attempt, sandbox, group);
        LaunchedProcess process;
        if (ForeignRuntimes.IsForeign(container.HostConfig))
        {
            ForeignRuntimes.Require(container.HostConfig, context.Init, attempt.Users is not null);
            attempt.Bundled = true;
            process = await services.Foreign.LaunchAsync(container, spec, context, checkpoint, plan => Request(container, plan, attachments));
            attempt.CloseSources();
        }
        else if (checkpoint is not null)
        {
            attempt.Bundled = true;
            process = await new OwnCheckpoints(services).RestoreAsync(container, spec, context, checkpoint, plan => Request(container, plan, attachments));
            attempt.CloseSources();
        }
        else if (spec.Hooks is not null)
        {
            process = await HookedLaunch.RunAsync(services, container, spec, context, group, plan => Request(container, plan, attachments));
            attempt.CloseSources();
        }
        else
        {
            using CompiledPlan plan = PlanCompiler.Compile(spec, context);
            attempt.CloseSources();
            attempt.Users?.Dispose();
            process = await services.Supervisor.Current.LaunchAsync(Request(container, plan, attachments), CancellationToken.None);
        }

        return new LaunchedContainer(process, networks);
    }

    /// <summary>The user namespace it gets; null: the host's. Whoever joins another container's network, processes or IPC shares its user namespace, as in Docker.</summary>
    private UserNamespace? Users(ContainerSnapshot container)
    {
        HostConfig host = container.HostConfig;
        if (services.Remap is not { } maps || host.UsernsMode == NamespaceModes.Host || container.IsWarmUp)
        {
            return null;
        }

        string? other = NamespaceModes.SharedWith(host.NetworkMode) ?? NamespaceModes.SharedWith(host.PidMode) ?? NamespaceModes.SharedWith(host.IpcMode);
        return other is null
            ? UserNamespace.Create(maps, network: true)
            : UserNamespace.OfProcess(Live(other, "user").Pid, network: NamespaceModes.SharedWith(host.NetworkMode) is null);
    }

    private Spec BuildSpec(ContainerSnapshot container, Attempt attempt, string directory, IReadOnlyList<string> linkVariables)
    {
        ResolvedUser user = UserLookup.Resolve(new RootDirectory(attempt.Rootfs!), container.Config.User, container.HostConfig.GroupAdd ?? []);
        Spec spec = SpecBuilder.Build(container, Inputs(container, user, directory, linkVariables, attempt));
        spec = CdiInjection.Apply(spec, container.HostConfig, services.Options.CdiSpecDirectories);
        if (spec.Hooks is { } hooks && !ForeignRuntimes.IsForeign(container.HostConfig))
        {
            HookedLaunch.Require(hooks, attempt.Users is not null);
        }

        return spec;
    }

    /// <param name="id">Whose upper directory it gets.</param>
    private async Task<SafeFileHandle> MountRootfsAsync(ContainerSnapshot container, string id, UserNamespace? users)
    {
        IReadOnlyList<Digest> layers = container.Layers ?? (container.IsWarmUp ? [] : services.Data.Images.Get(container.ImageId).ChainIds);
        if (id == container.Id && RootfsSize.Of(container.HostConfig) is { } size)
        {
            await services.Data.Snapshots.EnsureSizedAsync(layers, id, size, CancellationToken.None);
        }

        // Always writable here: mount points are made in it; the plan makes it read-only last.
        return services.Data.Snapshots.MountRootfs(layers, id, readOnly: false, users);
    }

    /// <summary>The network namespace it gets, if one of its own: of its user namespace, where it has one.</summary>
    private async Task<Sandbox?> SandboxAsync(ContainerSnapshot container, UserNamespace? users) => users?.Network is { } network
        ? await AdoptedSandbox.AdoptAsync(Descriptors.Duplicate(network), CancellationToken.None)
        : await services.ContainerNetworks.SandboxAsync(container);

    private LaunchInputs Inputs(ContainerSnapshot container, ResolvedUser user, string directory, IReadOnlyList<string> linkVariables, Attempt attempt) => new(
        new UserSpec(user.Uid, user.Gid) { AdditionalGids = user.AdditionalGids },
        user.Home,
        directory,
        services.CgroupPath(container),
        services.Cgroups.Hierarchy.Mode,
        SharedNamespaces(container.HostConfig),
        linkVariables,
        services.Options.Defaults,
        attempt.SharedMemory,
        attempt.Users?.Maps,
        services.Data.HasProjectQuotas);

    /// <summary>
    /// Finds what is mounted at /dev/shm, or mounts it where others may join. A mount of the user's at that place is nobody else's: such a container
    /// cannot be joined, as in Docker.
    /// </summary>
    private void ShareMemory(ContainerSnapshot container, Attempt attempt, bool running)
    {
        HostConfig host = container.HostConfig;
        if (NamespaceModes.SharedWith(host.IpcMode) is { } other)
        {
            attempt.SharedMemory = _ipc.SharedMemoryOf(other);
        }
        else if (host.IpcMode == NamespaceModes.Host)
        {
            attempt.SharedMemory = IpcSharing.HostMemory();
        }
        else if (host.IpcMode == NamespaceModes.Shareable && container.Mounts.All(mount => mount.Destination != IpcSharing.MountPoint))
        {
            attempt.SharedMemory = services.SharedMemory.PathOf(container.Id);
            if (!running)
            {
                attempt.SharesMemory = true;
                services.SharedMemory.Mount(container.Id, host.ShmSize, attempt.Users?.Maps);
            }
        }
    }

    /// <summary>Paths of the namespaces of other containers that this one joins.</summary>
    private Dictionary<string, string> SharedNamespaces(HostConfig host)
    {
        Dictionary<string, string> shared = [];
        Add("network", "net", host.NetworkMode);
        Add("pid", "pid", host.PidMode);
        Add("ipc", "ipc", host.IpcMode);
        return shared;

        void Add(string type, string file, string mode)
        {
            if (NamespaceModes.SharedWith(mode) is not { } id)
            {
                return;
            }

            shared[type] = $"/proc/{Live(id, type).Pid}/ns/{file}";
        }
    }

    private RunState Live(string id, string type)
    {
        RunState state = (index.Find(id) ?? throw ContainerErrors.NoSuchContainer(id)).Snapshot.State;
        return state.IsLive ? state : throw new EngineException(ErrorKind.Conflict, $"cannot join {type} namespace of a non running container: {id}");
    }

    private PlanContext Context(ContainerSnapshot container, Spec spec, Attempt attempt, Sandbox? sandbox, Cgroup group)
    {
        string path = spec.Linux.CgroupsPath;
        return new PlanContext
        {
            Rootfs = attempt.Rootfs!,
            MountSources = attempt.Sources,
            DetachedMounts = attempt.Images,
            NetworkNamespace = sandbox?.DuplicateNamespace(),
            NetworkSettings = sandbox is null ? null : SandboxSettings.Docker,
            UserNamespace = attempt.Users,
            Cgroup = group.Prepare(),
            CgroupDirectories = CgroupDirectory.Of(services.Cgroups.Hierarchy.Mounts, path),
            Seccomp = spec.Linux.Seccomp is { } profile ? services.Seccomp.Compile(profile) : null,
            StdinIsPipe = container.Config.OpenStdin,

            // As in Docker: an init reaps in a pid namespace of its own only.
            Init = (container.HostConfig.Init ?? services.Options.Init)
                && container.HostConfig.PidMode != NamespaceModes.Host && NamespaceModes.SharedWith(container.HostConfig.PidMode) is null,
        };
    }

    private LaunchRequest Request(ContainerSnapshot container, CompiledPlan plan, IReadOnlyList<Attachment> attachments)
    {
        LogOptions log = LogOptions.Parse(container.HostConfig.LogConfig, services.Options.LogMaxSize, services.Options.LogMaxFiles);
        return new LaunchRequest
        {
            Id = container.Id,
            Plan = plan.Plan,
            Terminal = plan.Terminal,
            OpenStdin = container.Config.OpenStdin,
            StdinOnce = container.Config.StdinOnce,
            Log = !log.Enabled ? null : new LogTarget(ContainerLog.Path(services.ContainerDirectory(container.Id), container.Id), log.MaxSize, log.MaxFiles)
            {
                Attributes = LogSubject.Of(container).RecordedAttributes(),
                Compress = log.Compress,
                DropBeyond = log.DropBeyond,
            },
            Attachments = attachments,
        };
    }

    /// <summary>Makes the directories that <c>-v</c> names and that are missing, and checks that mounts are shared where that is asked for.</summary>
    public static void PrepareBinds(ContainerSnapshot container)
    {
        foreach (ContainerMount mount in container.Mounts.Where(mount => mount.Type == "bind"))
        {
            if (mount.CreateSource && !Path.Exists(mount.Source))
            {
                new HostPath(mount.Source).CreateDirectories(0x1ED);
            }

            SharedMounts.Require(mount);
        }
    }

    /// <summary>Mounts the volumes, and opens what is not mounted by its path: images, and parts of volumes.</summary>
    /// <param name="user">Who has the volumes mounted from now on.</param>
    /// <returns>The container, with the paths of its volumes' contents.</returns>
    private async Task<ContainerSnapshot> MountVolumesAsync(ContainerSnapshot container, string user, Attempt attempt)
    {
        container = container with { Mounts = await services.Volumes.MountAsync(container.Mounts, user, CancellationToken.None) };
        attempt.VolumeUser = user;
        foreach (ContainerMount mount in container.Mounts)
        {
            if (mount.Type == "image")
            {
                attempt.Images.Add(mount.Destination, MountSources.OpenImage(mount, services.Data, attempt.Users));
            }
            else if (mount is { Type: "volume", Subpath: { } subpath })
            {
                attempt.Sources.Add(mount.Destination, MountSources.OpenPart(mount, subpath));
            }
        }

        foreach ((string destination, SafeFileHandle tree) in container.Trees ?? [])
        {
            attempt.Images.Add(destination, tree);
        }

        container.Trees?.Clear();
        SecretMounts.Open(container.HostConfig, services.Secrets, container.HostConfig.UsernsMode == NamespaceModes.Host ? null : services.Remap, attempt.Images);
        return container;
    }

    private async Task UndoAsync(ContainerSnapshot container, Attempt attempt)
    {
        attempt.Rootfs?.Dispose();
        attempt.Users?.Dispose();
        attempt.CloseSources();
        if (attempt.VolumeUser is { } user)
        {
            await services.Volumes.UnmountAsync(container.Mounts, user);
        }

        if (attempt.Attaching is not null)
        {
            await ((Task)attempt.Attaching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (attempt.Attaching.IsCompletedSuccessfully)
            {
                await services.ContainerNetworks.DetachAsync(container.Id, await attempt.Attaching);
            }
        }

        if (attempt.Bundled)
        {
            await services.Foreign.ReleaseAsync(container);
        }

        if (attempt.SharesMemory)
        {
            services.SharedMemory.Unmount(container.Id);
        }

        using Cgroup? group = attempt.Grouped ? services.Cgroups.TryOpen(services.CgroupPath(container)) : null;
        if (group is not null)
        {
            await group.KillAsync(services.Time, CancellationToken.None);
            await group.DeleteAsync(services.Time, CancellationToken.None);
        }
    }

    /// <summary>What a launch has made so far.</summary>
    private sealed class Attempt
    {
        public Task<AttachedNetworks>? Attaching { get; set; }

        public SafeFileHandle? Rootfs { get; set; }

        /// <summary>The container's user namespace; null: the host's.</summary>
        public UserNamespace? Users { get; set; }

        public bool Grouped { get; set; }

        /// <summary>Another runtime was given a bundle.</summary>
        public bool Bundled { get; set; }

        /// <summary>Of the host, what is mounted at /dev/shm; null: a file system that only the container has.</summary>
        public string? SharedMemory { get; set; }

        /// <summary>It was mounted for others to join.</summary>
        public bool SharesMemory { get; set; }

        /// <summary>Parts of volumes, by destination.</summary>
        public Dictionary<string, SafeFileHandle> Sources { get; } = [];

        /// <summary>Detached mounts of images and secrets, by destination.</summary>
        public Dictionary<string, SafeFileHandle> Images { get; } = [];

        /// <summary>Who has the container's volumes mounted.</summary>
        public string? VolumeUser { get; set; }

        public void CloseSources()
        {
            foreach (SafeFileHandle source in Sources.Values.Concat(Images.Values))
            {
                source.Dispose();
            }

            Sources.Clear();
            Images.Clear();
        }
    }
}
