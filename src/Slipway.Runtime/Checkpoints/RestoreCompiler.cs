using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Foreign;

namespace Slipway.Runtime.Checkpoints;

/// <summary>
/// The plan by which a container goes on from a checkpoint: CRIU, in the container's control groups and in a mount namespace of its own, in which the container's root file system and
/// all that is mounted into it lie at paths that only root reaches. What a checkpoint holds decides about none of it: the mounts are those of the container's specification.
/// </summary>
public static class RestoreCompiler
{
    private const ulong MS_REC = 0x4000;
    private const ulong MS_PRIVATE = 1 << 18;
    private const MountAttributes Masked = MountAttributes.ReadOnly | MountAttributes.NoSetId | MountAttributes.NoExecute;

    /// <param name="context">As for a launch; consumed in the same way.</param>
    /// <param name="bundle">Made anew; the container's for as long as it runs.</param>
    /// <param name="checkpoint">The directory with the images.</param>
    /// <exception cref="PlanException">The checkpoint is none of ours, or a mount cannot be made.</exception>
    /// <exception cref="KernelException">The kernel refused.</exception>
    public static CompiledPlan Compile(Spec spec, PlanContext context, RuntimeBundle bundle, CriuProgram criu, string checkpoint, string relay)
    {
        var plan = new LaunchPlan();
        try
        {
            PlanArgument root = plan.Own(context.Rootfs);
            PlanArgument? network = Network(plan, spec, context);
            CheckpointRecord record = CheckpointRecord.Read(checkpoint);
            if (record.Network != network is not null)
            {
                throw PlanException.Invalid("the checkpoint is one of a container with another network mode");
            }

            PlanPrologue.Begin(plan, terminal: false);
            PlanProcess.JoinCgroup(plan, context.Cgroup);
            PlanNamespaces.AddCgroupNamespace(plan, spec.Linux);
            plan.CloneFlags |= PlanNamespaces.CLONE_NEWNS;
            plan.Add("mount \"/\" recursively private", SystemCall.Mount, [0, plan.Text("/"), 0, MS_REC | MS_PRIVATE, 0]);
            Attach(plan, root, bundle.Rootfs, isDirectory: true);
            List<(string, string)> sources = [];
            foreach ((string mountPoint, SafeFileHandle tree) in Mounts(spec, context))
            {
                PlanArgument owned = plan.Own(tree);
                string path = bundle.Reserve(tree, sources.Count);
                Attach(plan, owned, path, FileStatus.Of(tree).IsDirectory);
                sources.Add((mountPoint, path));
            }

            string[] arguments = criu.RestoreArguments(record, checkpoint, bundle.Work, bundle.Rootfs, bundle.PidFile(null), sources, relay);
            if (network is { } space)
            {
                PlanPrologue.SealBut(plan, space);
            }
            else
            {
                PlanPrologue.Seal(plan);
            }

            plan.Add($"execve \"{arguments[0]}\"", SystemCall.Execve, [plan.Text(arguments[0]), plan.TextArray(arguments), plan.TextArray([CriuProgram.SearchPath])]);
            return new CompiledPlan(plan, Terminal: null);
        }
        catch
        {
            plan.Dispose();
            context.NetworkNamespace?.Dispose();
            context.Cgroup?.Dispose();
            throw;
        }
    }

    /// <summary>The network namespace that was made for it, or another container's; null: the host's.</summary>
    private static PlanArgument? Network(LaunchPlan plan, Spec spec, PlanContext context) =>
        context.NetworkNamespace is { } made ? plan.Own(made)
        : spec.Linux.Namespaces.FirstOrDefault(space => space.Type == "network") is { Path: { } path } ? plan.Own(new HostPath(path).Open(OpenFlags.ReadOnly))
        : null;

    private static void Attach(LaunchPlan plan, PlanArgument tree, string path, bool isDirectory)
    {
        byte[] target = Encoding.UTF8.GetBytes(path);
        int place = plan.Add(
            $"openat2 \"{path}\"",
            SystemCall.OpenAt2,
            [PlanSteps.AT_FDCWD, plan.Text(path), plan.Struct(new OpenHow(OpenFlags.Path | OpenFlags.NoFollow | OpenFlags.CloseOnExec | (isDirectory ? OpenFlags.Directory : 0), 0, Resolution.None)), OpenHow.Size]);
        plan.MoveMount(tree, PlanArgument.ResultOf(place), target);
    }

    /// <summary>What comes from outside, by canonical mount point; the attributes are on the mounts already.</summary>
    private static List<(string MountPoint, SafeFileHandle Tree)> Mounts(Spec spec, PlanContext context)
    {
        List<(string, SafeFileHandle)> mounts = [];
        RootView view = new(new RootDirectory(context.Rootfs), maps: null);
        try
        {
            foreach (MountSpec mount in spec.Mounts)
            {
                MountOptions options = MountOptions.Parse(mount.Options);
                if (mount.Type is "cgroup" or "cgroup2" && !options.IsBind)
                {
                    foreach (CgroupDirectory group in context.CgroupDirectories)
                    {
                        SafeFileHandle tree = MountTree.Clone(group.Directory, recursive: false);
                        mounts.Add(($"{mount.Destination.TrimEnd('/')}{(group.Name.Length == 0 ? "" : "/")}{group.Name}", tree));
                        MountTree.Change(tree, MountAttributeChange.Of(options.Set, options.Clear, MountPropagation.Private), recursive: false);
                    }
                }
                else if (options.IsBind || mount.Type == "bind")
                {
                    SafeFileHandle tree = PlanMounts.Source(context, mount, options);
                    int index = mounts.Count;
                    mounts.Add((mount.Destination, tree));
                    PlanMounts.Apply(tree, options);
                    mounts[index] = (Place(view, mount.Destination, tree), tree);
                }
            }

            foreach (string path in spec.Linux.MaskedPaths)
            {
                SafeFileHandle tree = MountTree.Clone(new HostPath("/dev/null"), recursive: false);
                mounts.Add((path, tree));
                MountTree.Change(tree, MountAttributeChange.Of(Masked, 0, MountPropagation.Private), recursive: false);
            }

            return mounts;
        }
        catch
        {
            mounts.ForEach(mount => mount.Item2.Dispose());
            throw;
        }
    }

    /// <summary>The canonical mount point, made where the container has removed it.</summary>
    private static string Place(RootView view, string destination, SafeFileHandle tree)
    {
        ResolvedPath target = view.Ensure(destination, FileStatus.Of(tree).IsDirectory ? MissingPath.CreateDirectory : MissingPath.CreateFile, new NewEntry(0x1ED));
        target.Descriptor?.Dispose();
        view.Add(target.Path, tree);
        return Encoding.UTF8.GetString(target.Path);
    }
}
