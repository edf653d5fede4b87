using Microsoft.Win32.SafeHandles;
using Slipway.Api.Containers;
using Slipway.Api.Exec;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Foreign;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.Links;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Confinement;
using Slipway.Runtime.Supervision;

namespace Slipway.Engine.Exec;

/// <summary>Starts a further process in a running container: its cgroups, namespaces, user, capabilities and filter are the container's.</summary>
internal sealed class ExecLauncher(EngineServices services, ContainerLinks links)
{
    /// <param name="attachment">The client's streams, consumed; null where nobody listens.</param>
    public async Task<LaunchedProcess> LaunchAsync(Container container, ExecProcess exec, Attachment? attachment, List<uint>? consoleSize, CancellationToken cancellationToken)
    {
        ContainerSnapshot snapshot = container.Snapshot;
        ExecCreateRequest request = exec.Request;
        SafeFileHandle pidfd = container.Pidfd ?? throw ContainerErrors.NotRunning(container.Id);
        using UserNamespace? users = Users(container.Id, snapshot.State.Pid);
        ExecContext context = new()
        {
            Pidfd = pidfd,
            UserNamespace = users,
            Pid = snapshot.State.Pid,
            Namespaces = [.. SpecBuilder.Namespaces(snapshot.HostConfig, new Dictionary<string, string>()).Select(entry => entry.Type)],
            StdinIsPipe = request.AttachStdin && attachment is not null,
        };
        (ProcessSpec process, SeccompSpec? filter) = Process(snapshot, request, consoleSize, LookUp(context, snapshot, request), links.Environment(snapshot), services.Options.Defaults, services.Data.HasProjectQuotas);
        if (ForeignRuntimes.IsForeign(snapshot.HostConfig))
        {
            return await services.Foreign.ExecAsync(snapshot, exec.SupervisedId, process, plan => Request(container, exec, context, plan, attachment), cancellationToken);
        }

        using Cgroup group = services.Cgroups.TryOpen(services.CgroupPath(snapshot)) ?? throw ContainerErrors.NotRunning(container.Id);
        context = context with { Cgroup = group.Prepare(), Seccomp = filter is null ? null : services.Seccomp.Compile(filter) };
        using CompiledPlan plan = ExecCompiler.Compile(process, context);
        return await services.Supervisor.Current.LaunchAsync(Request(container, exec, context, plan, attachment), cancellationToken);
    }

    private static LaunchRequest Request(Container container, ExecProcess exec, ExecContext context, CompiledPlan plan, Attachment? attachment) => new()
    {
        Id = exec.SupervisedId,
        ContainerId = container.Id,
        Plan = plan.Plan,
        Terminal = plan.Terminal,
        OpenStdin = context.StdinIsPipe,
        StdinOnce = true,
        Attachments = attachment is null ? [] : [attachment],
    };

    /// <summary>As the container has it, whatever the engine would give it today.</summary>
    private static UserNamespace? Users(string id, int pid)
    {
        try
        {
            return UserNamespace.OfProcess(pid);
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.ESRCH)
        {
            throw ContainerErrors.NotRunning(id);
        }
    }

    private static (ProcessSpec Process, SeccompSpec? Filter) Process(ContainerSnapshot container, ExecCreateRequest request, List<uint>? consoleSize, ResolvedUser user, IReadOnlyList<string> linkVariables, ContainerDefaults defaults, bool boundByProjects)
    {
        HostConfig host = container.HostConfig;
        SecurityOptions security = SecurityOptions.Parse(host.SecurityOpt, defaults.NoNewPrivileges);
        UserSpec ids = new(user.Uid, user.Gid) { AdditionalGids = user.AdditionalGids };
        HostConfig granted = request.Privileged ? host with { Privileged = true } : host;
        ProcessSpec process = new()
        {
            Terminal = request.Tty,
            ConsoleSize = consoleSize is [> 0, > 0] ? new ConsoleSize(consoleSize[0], consoleSize[1]) : null,
            User = ids,
            Args = request.Cmd!,
            Env = SpecBuilder.Environment(container.Config, request.Tty, user.Home, linkVariables, request.Env),
            Cwd = request.WorkingDir.Length > 0 ? request.WorkingDir : container.Config.WorkingDir.Length > 0 ? container.Config.WorkingDir : "/",
            Capabilities = SpecBuilder.Capabilities(granted, ids),
            NoNewPrivileges = security.NoNewPrivileges,
            OomScoreAdj = host.OomScoreAdj,
        };

        // As in runc, a privileged exec gets all capabilities, but keeps the container's filter.
        return (process, SpecBuilder.Seccomp(host, security, SpecBuilder.Capabilities(host, ids), defaults, boundByProjects));
    }

    private static ResolvedUser LookUp(ExecContext context, ContainerSnapshot container, ExecCreateRequest request)
    {
        using RootDirectory root = ExecCompiler.OpenRoot(context);
        return UserLookup.Resolve(root, request.User.Length > 0 ? request.User : container.Config.User, container.HostConfig.GroupAdd ?? []);
    }
}
