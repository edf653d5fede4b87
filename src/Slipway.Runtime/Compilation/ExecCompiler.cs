using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>Compiles the plan of a process that joins a running container.</summary>
public static class ExecCompiler
{
    /// <exception cref="PlanException">The process cannot be started as specified, or the container has ended. Nothing is left behind.</exception>
    /// <exception cref="KernelException">The kernel refused. Likewise.</exception>
    public static CompiledPlan Compile(ProcessSpec process, ExecContext context)
    {
        var plan = new LaunchPlan();
        PseudoTerminal? terminal = null;
        try
        {
            using RootDirectory container = OpenRoot(context);
            if (process.Terminal)
            {
                using FileSystemIdentity? maker = FileSystemIdentity.AssumeRootOf(context.UserNamespace?.Maps);
                terminal = MakeTerminal(container, process.ConsoleSize);
            }

            (string executable, byte[] directory) = Prepare(process, container);
            PlanPrologue.Begin(plan, process.Terminal);
            PlanProcess.JoinCgroup(plan, context.Cgroup);
            var steps = new PlanProcess(plan, process, context.Seccomp);
            if (context.UserNamespace is { } users)
            {
                steps.UseHostPrivileges(users.Maps, context.StdinIsPipe);
            }
            else
            {
                steps.AddOomScore();
            }

            Join(plan, context);
            if (context.UserNamespace is null)
            {
                steps.GiveStreams(context.StdinIsPipe);
            }

            // setns to a mount namespace has made its root the root of this process.
            int root = plan.OpenBelow(PlanSteps.AT_FDCWD, "/"u8, OpenFlags.Path | OpenFlags.Directory, Resolution.InRoot, "the container's root");
            steps.EnterWorkingDirectory(PlanArgument.ResultOf(root), directory);
            steps.AddSecurityLabel();

            // A limit of open files holds for the plan's own too: after the last that it opens.
            steps.AddLimits();
            PlanPrologue.Seal(plan);
            steps.AddCredentials();
            steps.Execute(executable);
            return new CompiledPlan(plan, terminal?.Master);
        }
        catch
        {
            terminal?.Dispose();
            plan.Dispose();
            context.Cgroup?.Dispose();
            throw;
        }
    }

    /// <summary>The container's root as its init process has it, so with all mounts.</summary>
    public static RootDirectory OpenRoot(ExecContext context)
    {
        var path = new HostPath(string.Create(CultureInfo.InvariantCulture, $"/proc/{context.Pid}/root"));
        RootDirectory root;
        try
        {
            root = path.OpenRoot();
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.ESRCH)
        {
            throw PlanException.Invalid("container is not running", e);
        }

        // The number may belong to another process by now: it was the container's if the container still lives.
        if (Pidfd.SendSignal(context.Pidfd, 0))
        {
            return root;
        }

        root.Dispose();
        throw PlanException.Invalid("container is not running");
    }

    private static void Join(LaunchPlan plan, ExecContext context)
    {
        PlanArgument pidfd = plan.Own(Descriptors.Duplicate(context.Pidfd));
        ulong flags = 0;
        foreach (string type in context.Namespaces)
        {
            flags |= PlanNamespaces.Flag(type);
        }

        if ((flags & PlanNamespaces.CLONE_NEWPID) != 0)
        {
            plan.PidNamespace = pidfd;
            flags &= ~PlanNamespaces.CLONE_NEWPID;
        }

        flags |= context.UserNamespace is null ? 0 : PlanNamespaces.CLONE_NEWUSER;
        plan.Add(
            $"setns {string.Join(',', context.Namespaces.Where(n => n != "pid"))}{(context.UserNamespace is null ? "" : ",user")}", SystemCall.Setns, [pidfd, flags]);
        if (context.UserNamespace is not null)
        {
            PlanUserNamespace.BecomeRoot(plan);
        }
    }

    private static PseudoTerminal MakeTerminal(RootDirectory container, ConsoleSize? size)
    {
        using SafeFileHandle devpts = container.Open("/dev/pts"u8, OpenFlags.Path | OpenFlags.Directory, 0, Resolution.Canonical);
        PseudoTerminal terminal = PseudoTerminal.Create(devpts);
        if (size is not null)
        {
            PseudoTerminal.SetWindowSize(terminal.Master, (ushort)size.Height, (ushort)size.Width);
        }

        return terminal;
    }

    private static (string Executable, byte[] Directory) Prepare(ProcessSpec process, RootDirectory container)
    {
        if (!process.Cwd.StartsWith('/'))
        {
            throw PlanException.Invalid("Cwd must be an absolute path");
        }

        // Unlike a container's own, an exec's working directory is not made.
        byte[] directory;
        try
        {
            container.Open(process.Cwd, OpenFlags.Path | OpenFlags.Directory).Dispose();
            ResolvedPath found = container.Resolve(process.Cwd);
            found.Descriptor?.Dispose();
            directory = found.Path;
        }
        catch (KernelException e)
        {
            throw PlanException.Invalid($"chdir to cwd (\"{process.Cwd}\") set in config.json failed: {Marshal.GetPInvokeErrorMessage(e.Errno).ToLowerInvariant()}", e);
        }

        string executable = ExecutableLookup.Find(process, (string path, out SafeFileHandle? file) =>
        {
            int errno = container.TryOpen(path, OpenFlags.Path, out file, 0, Resolution.Canonical);
            if (errno != Errno.ELOOP)
            {
                return errno;
            }

            try
            {
                file = container.Resolve(path).Descriptor;
                return 0;
            }
            catch (KernelException e)
            {
                return e.Errno;
            }
        });
        return (executable, directory);
    }
}
