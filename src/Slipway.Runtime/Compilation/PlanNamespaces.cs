using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>New namespaces are clone3's; joined ones are entered by steps, the pid namespace by the launching thread.</summary>
internal static class PlanNamespaces
{
    public const ulong CLONE_NEWNS = 0x20000;
    public const ulong CLONE_NEWCGROUP = 0x02000000;
    public const ulong CLONE_NEWUSER = 0x10000000;
    public const ulong CLONE_NEWPID = 0x20000000;
    public const ulong CLONE_NEWNET = 0x40000000;

    public static ulong Flag(string type) => type switch
    {
        "mount" => CLONE_NEWNS,
        "cgroup" => CLONE_NEWCGROUP,
        "uts" => 0x04000000,
        "ipc" => 0x08000000,
        "pid" => CLONE_NEWPID,
        "network" => CLONE_NEWNET,
        "user" => CLONE_NEWUSER,
        _ => throw PlanException.Invalid($"unknown namespace type \"{type}\""),
    };

    /// <summary>Adds what the specification asks for.</summary>
    /// <returns>The namespaces that are to be made inside a user namespace, after it has been entered; 0 without one.</returns>
    public static ulong Add(LaunchPlan plan, LinuxSpec linux, PlanContext context)
    {
        if (!linux.Namespaces.Any(n => n is { Type: "mount", Path: null }))
        {
            throw PlanException.Invalid("a container needs a mount namespace of its own");
        }

        ulong inside = 0;
        bool newNetwork = false;
        foreach (NamespaceSpec space in linux.Namespaces)
        {
            ulong flag = Flag(space.Type);
            if (flag == CLONE_NEWUSER || (flag == CLONE_NEWNET && context.NetworkNamespace is not null))
            {
                continue;
            }

            if (space.Path is { } path)
            {
                Join(plan, space.Type, path, flag);
            }
            else if (context.UserNamespace is not null && flag is not (CLONE_NEWPID or CLONE_NEWCGROUP))
            {
                // sysfs is made before, and shows the network namespace of its maker.
                inside |= flag != CLONE_NEWNET ? flag : throw PlanException.Invalid("with a user namespace, the network namespace is to be made before");
            }
            else if (flag != CLONE_NEWCGROUP)
            {
                plan.CloneFlags |= flag;
                newNetwork |= flag == CLONE_NEWNET;
            }
        }

        if (context.NetworkNamespace is { } network)
        {
            plan.Add("setns network", SystemCall.Setns, [plan.Own(network), CLONE_NEWNET]);
        }
        else if (newNetwork)
        {
            RaiseLoopback(plan);
        }

        return inside;
    }

    /// <summary>A cgroup namespace starts at the group its creator is in (cgroup_namespaces(7)): the child makes it after it has joined its own.</summary>
    public static void AddCgroupNamespace(LaunchPlan plan, LinuxSpec linux)
    {
        if (linux.Namespaces.Any(n => n is { Type: "cgroup", Path: null }))
        {
            plan.Add("unshare cgroup namespace", SystemCall.Unshare, [CLONE_NEWCGROUP]);
        }
    }

    private static void Join(LaunchPlan plan, string type, string path, ulong flag)
    {
        PlanArgument descriptor;
        try
        {
            descriptor = plan.Own(new HostPath(path).Open(OpenFlags.ReadOnly));
        }
        catch (Exception e) when (e is KernelException or ArgumentException)
        {
            throw PlanException.Invalid($"cannot join the {type} namespace: {e.Message}", e);
        }

        if (flag == CLONE_NEWPID)
        {
            plan.PidNamespace = descriptor;
        }
        else
        {
            plan.Add($"setns {type} \"{path}\"", SystemCall.Setns, [descriptor, flag]);
        }
    }

    private static void RaiseLoopback(LaunchPlan plan)
    {
        const int AF_INET = 2;
        const int SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
        const int SIOCSIFFLAGS = 0x8914;
        byte[] request = new byte[40]; // struct ifreq: name (16), flags.
        "lo"u8.CopyTo(request);
        request[16] = 0x41; // IFF_UP | IFF_RUNNING
        int socket = plan.Add("socket", SystemCall.Socket, [AF_INET, SOCK_DGRAM_CLOEXEC, 0]);
        plan.Add("ioctl SIOCSIFFLAGS lo up", SystemCall.Ioctl, [PlanArgument.ResultOf(socket), SIOCSIFFLAGS, plan.Bytes(request)]);
    }
}
