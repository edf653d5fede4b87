using Slipway.Kernel.Process;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// Entering a user namespace. The child is cloned outside of it, with a pid namespace of its own, does there what needs the host's privileges
/// (procfs and sysfs, which the kernel gives inside only to who sees whole ones already; raising limits; its streams), then enters and makes its other
/// namespaces inside: they belong to the container's root. The pid namespace does not, by which the container can do nothing less but mount procfs
/// anew, which masks keep it from anyway.
/// </summary>
internal static class PlanUserNamespace
{
    /// <summary>Sees that specification and context agree.</summary>
    public static void Require(Spec spec, UserNamespace? users)
    {
        bool wanted = spec.Linux.Namespaces.Any(n => n.Type == "user");
        if (wanted != (users is not null) || wanted != (spec.Linux.UidMappings.Count > 0) || wanted != (spec.Linux.GidMappings.Count > 0))
        {
            throw PlanException.Invalid("a user namespace comes with mappings of user and group ids, and mappings with a user namespace");
        }
    }

    /// <summary>File systems that show the child's pid and network namespace, made before it enters: the steps whose results are the mounts, by destination.</summary>
    public static Dictionary<string, int> MakeKernelFileSystems(LaunchPlan plan, IReadOnlyList<MountSpec> mounts)
    {
        Dictionary<string, int> made = [];
        foreach (MountSpec mount in mounts)
        {
            MountOptions options = MountOptions.Parse(mount.Options);
            if (mount.Type is "proc" or "sysfs" && !options.IsBind)
            {
                made[mount.Destination] = plan.MakeFileSystem(mount.Type, mount.Source.Length == 0 ? mount.Type : mount.Source, options.Data, options.Set);
            }
        }

        return made;
    }

    /// <summary>Enters, becomes root there, and makes the namespaces that are to belong to it.</summary>
    public static void Enter(LaunchPlan plan, PlanArgument users, ulong namespaces)
    {
        plan.Add("setns user", SystemCall.Setns, [users, PlanNamespaces.CLONE_NEWUSER]);
        BecomeRoot(plan);
        plan.Add("unshare the other namespaces", SystemCall.Unshare, [namespaces]);
    }

    /// <summary>Whoever has entered has all capabilities inside, but the ids of before, which mean nobody there.</summary>
    public static void BecomeRoot(LaunchPlan plan)
    {
        plan.Add("setgroups of the user namespace", SystemCall.Setgroups, [0, 0]);
        plan.Add("setresgid 0 of the user namespace", SystemCall.Setresgid, [0, 0, 0]);
        plan.Add("setresuid 0 of the user namespace", SystemCall.Setresuid, [0, 0, 0]);
    }

    /// <summary>Ids in a file system's options mean the host's, since the parent mounts it: <c>gid=5</c> becomes the id that is 5 inside.</summary>
    /// <exception cref="PlanException">The id is not one of the container's.</exception>
    public static string Translate(string option, IdMaps maps)
    {
        int equals = option.IndexOf('=', StringComparison.Ordinal);
        string key = equals < 0 ? option : option[..equals];
        if (key is not ("uid" or "gid"))
        {
            return option;
        }

        return uint.TryParse(option.AsSpan(equals + 1), out uint id) && (key == "uid" ? maps.Users : maps.Groups).Outside(id) is uint outside
            ? FormattableString.Invariant($"{key}={outside}")
            : throw PlanException.Invalid($"mount option \"{option}\": there is no such id in the container's user namespace");
    }

    /// <summary>The maps of an id-mapped mount.</summary>
    /// <exception cref="PlanException">They are not valid.</exception>
    public static IdMaps Maps(IReadOnlyList<IdMappingSpec> users, IReadOnlyList<IdMappingSpec> groups)
    {
        try
        {
            return new IdMaps(Map(users), Map(groups));
        }
        catch (ArgumentException e)
        {
            throw PlanException.Invalid(e.Message, e);
        }

        static IdMap Map(IReadOnlyList<IdMappingSpec> mappings) => new([.. mappings.Select(m => new IdRange(m.ContainerID, m.HostID, m.Size))]);
    }
}
