using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// Turns a runtime specification into a launch plan. What can be done beforehand is done here, on detached mounts nobody else can
/// reach: mount points, device nodes, mounts. The plan's steps are what must happen in the child: enter, pivot, attach, give up privileges,
/// execute.
/// </summary>
public static class PlanCompiler
{
    private const ulong MS_REC = 0x4000;
    private const ulong MS_PRIVATE = 1 << 18;
    private const int MNT_DETACH = 2;

    /// <summary>Compiles the plan of a container's first process.</summary>
    /// <exception cref="PlanException">The specification cannot be carried out. Nothing is left behind.</exception>
    /// <exception cref="KernelException">The kernel refused. Likewise.</exception>
    public static CompiledPlan Compile(Spec spec, PlanContext context)
    {
        var plan = new LaunchPlan();
        PseudoTerminal? terminal = null;
        try
        {
            PlanArgument root = plan.Own(context.Rootfs);
            Require(spec, context);
            using FileSystemIdentity? maker = FileSystemIdentity.AssumeRootOf(context.UserNamespace?.Maps);
            PlanPrologue.Begin(plan, spec.Process.Terminal);
            PlanProcess.JoinCgroup(plan, context.Cgroup);
            var process = new PlanProcess(plan, spec.Process, context.Seccomp);
            ulong inside = PlanNamespaces.Add(plan, spec.Linux, context);
            Dictionary<string, int> made = [];
            if (context.UserNamespace is { } users)
            {
                made = PlanUserNamespace.MakeKernelFileSystems(plan, spec.Mounts);
                process.UseHostPrivileges(users.Maps, context.StdinIsPipe);
                PlanUserNamespace.Enter(plan, plan.Own(Descriptors.Duplicate(users.Descriptor)), inside);
            }

            PlanNamespaces.AddCgroupNamespace(plan, spec.Linux);
            AddHostNames(plan, spec);
            AttachRoot(plan, root, context.Hooks);

            var mounts = new PlanMounts(plan, root, context.Rootfs, context, made);
            foreach (MountSpec mount in spec.Mounts)
            {
                mounts.Add(mount);
            }

            PlanDevices.Create(mounts, spec.Linux.Devices, context.UserNamespace?.Maps);
            if (spec.Process.Terminal)
            {
                terminal = MakeTerminal(mounts.Devpts, spec.Process.ConsoleSize);
                PlanDevices.BindConsole(plan, root, mounts, terminal.Number);
            }

            if (context.Hooks is { } hooks)
            {
                PlanHooks.Wait(plan, hooks.Socket);
                AddPivot(plan, root);
            }

            AddMasks(plan, root, mounts.View, spec.Linux);
            if (context.UserNamespace is null)
            {
                process.AddOomScore();
            }

            PlanSysctls.Add(plan, spec, context);

            (string executable, byte[] directory) = Prepare(spec.Process, mounts.View);
            AddRootAttributes(plan, root, context, spec);
            if (context.UserNamespace is null)
            {
                process.GiveStreams(context.StdinIsPipe);
            }

            process.EnterWorkingDirectory(root, directory);
            process.AddSecurityLabel();

            // A limit of open files holds for the plan's own too: after the last that it opens.
            process.AddLimits();
            PlanPrologue.Seal(plan);
            process.AddCredentials();
            if (context.Init)
            {
                process.ExecuteUnderInit(executable);
            }
            else
            {
                process.Execute(executable);
            }

            return new CompiledPlan(plan, terminal?.Master);
        }
        catch
        {
            terminal?.Dispose();
            plan.Dispose();
            context.NetworkNamespace?.Dispose();
            context.Cgroup?.Dispose();
            context.Hooks?.Socket.Dispose();
            throw;
        }
    }

    private static void Require(Spec spec, PlanContext context)
    {
        if (!spec.Process.Cwd.StartsWith('/'))
        {
            throw PlanException.Invalid($"the working directory '{spec.Process.Cwd}' is invalid, it needs to be an absolute path");
        }

        PlanUserNamespace.Require(spec, context.UserNamespace);
    }

    private static void AddHostNames(LaunchPlan plan, Spec spec)
    {
        Add("hostname", SystemCall.Sethostname, spec.Hostname);
        Add("domainname", SystemCall.Setdomainname, spec.Domainname);

        void Add(string what, SystemCall call, string? name)
        {
            if (string.IsNullOrEmpty(name))
            {
                return;
            }

            if (!spec.Linux.Namespaces.Any(n => n.Type == "uts"))
            {
                throw PlanException.Invalid($"unable to set {what} without a private UTS namespace");
            }

            plan.Add($"set{what} \"{name}\"", call, [plan.Text(name), System.Text.Encoding.UTF8.GetByteCount(name)]);
        }
    }

    /// <summary>The root file system covers the old root, and becomes the root at once, but where hooks are to see both.</summary>
    private static void AttachRoot(LaunchPlan plan, PlanArgument root, HookPause? hooks)
    {
        // Nothing that follows may reach the mounts of the host.
        plan.Add("mount \"/\" recursively private", SystemCall.Mount, [0, plan.Text("/"), 0, MS_REC | MS_PRIVATE, 0]);
        if (hooks is not null)
        {
            PlanHooks.AttachRoot(plan, root, hooks.Rootfs);
            return;
        }

        int old = plan.OpenBelow(PlanSteps.AT_FDCWD, "/"u8, OpenFlags.Path | OpenFlags.Directory, Resolution.None, "old root");
        plan.MoveMount(root, PlanArgument.ResultOf(old), "/"u8);
        AddPivot(plan, root);
    }

    /// <summary>The root file system becomes the root, and the old one goes. "." as both arguments: pivot_root(2), "pivot_root(".", ".")".</summary>
    private static void AddPivot(LaunchPlan plan, PlanArgument root)
    {
        plan.Add("fchdir to the root file system", SystemCall.Fchdir, [root]);
        plan.Add("pivot_root \".\" \".\"", SystemCall.PivotRoot, [plan.Text("."), plan.Text(".")]);
        plan.Add("umount the old root", SystemCall.Umount2, [plan.Text("."), MNT_DETACH]);
        plan.Add("chdir \"/\"", SystemCall.Chdir, [plan.Text("/")]);
    }

    private static PseudoTerminal MakeTerminal(SafeFileHandle? devpts, ConsoleSize? size)
    {
        PseudoTerminal terminal = PseudoTerminal.Create(
            devpts ?? throw PlanException.Invalid("a process with a terminal needs a devpts of its own at /dev/pts"));
        if (size is not null)
        {
            PseudoTerminal.SetWindowSize(terminal.Master, (ushort)size.Height, (ushort)size.Width);
        }

        return terminal;
    }

    private static void AddMasks(LaunchPlan plan, PlanArgument root, RootView view, LinuxSpec linux)
    {
        var masks = new PlanMasks(plan, root, view);
        foreach (string path in linux.ReadonlyPaths)
        {
            masks.MakeReadOnly(path);
        }

        foreach (string path in linux.MaskedPaths)
        {
            masks.Mask(path);
        }
    }

    /// <summary>Creates the working directory and finds the program. Both see the mounts of the container.</summary>
    private static (string Executable, byte[] Directory) Prepare(ProcessSpec process, RootView view)
    {
        byte[] directory = Encoding.UTF8.GetBytes(process.Cwd);
        try
        {
            ResolvedPath found = view.Ensure(process.Cwd, MissingPath.CreateDirectory, new NewEntry(0x1ED));
            found.Descriptor?.Dispose();
            directory = found.Path;
        }
        catch (KernelException e) when (e.Errno is Errno.EROFS or Errno.ENOENT)
        {
            // It is missing on a read-only mount: entering it will fail and say so.
        }
        catch (KernelException e)
        {
            throw PlanException.Invalid(e.Errno == Errno.ENOTDIR ? $"Cannot mkdir: {process.Cwd} is not a directory" : $"working directory: {e.Message}", e);
        }

        string executable = ExecutableLookup.Find(process, (string path, out SafeFileHandle? file) =>
        {
            int errno = view.TryResolve(path, out ResolvedPath found);
            file = found.Descriptor;
            return errno;
        });
        return (executable, directory);
    }

    /// <summary>The root's own attributes come last: until then mount points are created in it.</summary>
    private static void AddRootAttributes(LaunchPlan plan, PlanArgument root, PlanContext context, Spec spec)
    {
        if (spec.Root.Readonly)
        {
            var change = MountAttributeChange.Of(MountAttributes.ReadOnly, 0);
            if (context.Hooks is null)
            {
                MountTree.Change(context.Rootfs, change, recursive: false);
            }
            else
            {
                // Hooks write to it.
                plan.ChangeMount(root, change, recursive: false, "\"/\" read-only");
            }
        }

        if (spec.Linux.RootfsPropagation is not { Length: > 0 } word)
        {
            return;
        }

        if (!MountOptions.TryPropagation(word, out MountPropagation propagation, out bool recursive))
        {
            throw PlanException.Invalid($"invalid rootfs propagation \"{word}\"");
        }

        plan.ChangeMount(root, MountAttributeChange.Of(0, 0, propagation), recursive, $"\"/\" {word}");
    }
}
