using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Compilation;

/// <summary>Kernel parameters of the container's namespaces; one that would change the host's is refused, with runc's words.</summary>
internal static class PlanSysctls
{
    private static readonly string[] s_ipc =
    [
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
    ];

    public static void Add(LaunchPlan plan, Spec spec, PlanContext context)
    {
        bool ownNetwork = context.NetworkNamespace is not null || spec.Linux.Namespaces.Any(n => n.Type == "network");
        PlanArgument? proc = null;
        foreach ((string name, string value) in spec.Linux.Sysctl)
        {
            // "net/ipv4/conf/eth0.1/forwarding" is how a name with a dot is written (sysctl(8)).
            string key = name.Contains('/', StringComparison.Ordinal) ? name : name.Replace('.', '/');
            Check(name, key.Replace('/', '.'), spec, ownNetwork);
            if (key.StartsWith('/') || key.Split('/').Any(part => part is "" or "." or ".."))
            {
                throw PlanException.Invalid($"sysctl \"{name}\" is not a valid name");
            }

            if (context.NetworkSettings?.GetValueOrDefault(name) != value)
            {
                plan.WriteProc(proc ??= plan.Own(PrivateProc.Mount().Descriptor), "sys/" + key, value);
            }
        }
    }

    private static void Check(string name, string key, Spec spec, bool ownNetwork)
    {
        if (s_ipc.Contains(key) || key.StartsWith("fs.mqueue.", StringComparison.Ordinal))
        {
            Require(Has(spec, "ipc"), $"sysctl \"{name}\" is not allowed in the hosts ipc namespace");
        }
        else if (key.StartsWith("net.", StringComparison.Ordinal))
        {
            Require(ownNetwork, $"sysctl \"{name}\" not allowed in host network namespace");
        }
        else if (key is "kernel.hostname" or "kernel.domainname")
        {
            Require(Has(spec, "uts"), $"sysctl \"{name}\" is not allowed in the hosts UTS namespace");
            Require(key != "kernel.hostname" || spec.Hostname is null, $"sysctl \"{name}\" is not allowed as it conflicts with the OCI \"hostname\" field");
        }
        else
        {
            throw PlanException.Invalid($"sysctl \"{name}\" is not in a separate kernel namespace");
        }
    }

    private static bool Has(Spec spec, string type) => spec.Linux.Namespaces.Any(n => n.Type == type);

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw PlanException.Invalid(message);
        }
    }
}
