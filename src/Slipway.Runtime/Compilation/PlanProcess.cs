using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Kernel.Security;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Confinement;

namespace Slipway.Runtime.Compilation;

/// <summary>What a process becomes before execve, a container's first one and an exec alike: limits, working directory, credentials, seccomp.</summary>
internal sealed class PlanProcess(LaunchPlan plan, ProcessSpec process, SeccompProgram? seccomp)
{
    private const int PR_SET_KEEPCAPS = 8;
    private const int PR_CAPBSET_DROP = 24;
    private const int PR_SET_NO_NEW_PRIVS = 38;
    private const int PR_CAP_AMBIENT = 47;
    private const int PR_CAP_AMBIENT_RAISE = 2;
    private const int PR_CAP_AMBIENT_CLEAR_ALL = 4;
    private const int SECCOMP_SET_MODE_FILTER = 1;
    private const uint LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    private const uint DefaultUmask = 0x12; // 0022

    // Descriptors that a plan surely gets by with.
    private const ulong EnoughFiles = 4096;

    private PlanArgument? _proc;

    /// <summary>The private procfs.</summary>
    public PlanArgument Proc => _proc ??= plan.Own(Descriptors.Duplicate(PrivateProc.Root.Descriptor));

    /// <summary>Control groups of v1: the child writes itself in. Of v2: clone3 does.</summary>
    public static void JoinCgroup(LaunchPlan plan, Slipway.Kernel.Cgroups.PreparedCgroup? cgroup)
    {
        if (cgroup is null)
        {
            return;
        }

        if (cgroup.Unified is not null)
        {
            plan.CgroupDirectory = plan.Own(cgroup.Unified);
        }

        PlanArgument self = plan.Text("0");
        foreach (SafeHandle tasks in cgroup.Tasks)
        {
            plan.Add("write 0 to the control group's tasks", SystemCall.Write, [plan.Own(tasks), self, 1]);
        }
    }

    /// <summary>The out-of-memory score; where lowering it is denied (no CAP_SYS_RESOURCE) it stays, as containerd's restrict_oom_score_adj has it.</summary>
    public void AddOomScore()
    {
        if (process.OomScoreAdj is int score)
        {
            plan.WriteProc(Proc, "self/oom_score_adj", score.ToString(CultureInfo.InvariantCulture), Errno.EACCES);
        }
    }

    /// <summary>
    /// What the child must do before it enters a user namespace: the score and the raising of limits need the host's privileges, and its streams are
    /// the host's to give.
    /// </summary>
    public void UseHostPrivileges(IdMaps maps, bool stdinIsPipe)
    {
        AddOomScore();
        foreach (RlimitSpec limit in process.Rlimits)
        {
            // Only the hard limit is protected. A small number of files would fail the plan itself; it is lowered to, later, without privileges.
            if (limit.Type != "RLIMIT_NOFILE" || limit.Hard >= EnoughFiles)
            {
                AddLimit(limit with { Soft = limit.Hard });
            }
        }

        uint owner = maps.Users.Outside(process.User.Uid) ?? throw PlanException.Invalid($"user {process.User.Uid} is not in the container's user namespace");
        GiveStreams(owner, stdinIsPipe);
    }

    public void AddLimits()
    {
        foreach (RlimitSpec limit in process.Rlimits)
        {
            AddLimit(limit);
        }

        uint umask = process.User.Umask ?? DefaultUmask;
        plan.Add($"umask 0{Convert.ToString(umask, 8)}", SystemCall.Umask, [umask]);
    }

    private void AddLimit(RlimitSpec limit)
    {
        int resource = Array.IndexOf(s_resources, limit.Type);
        if (resource < 0)
        {
            throw PlanException.Invalid($"invalid rlimit type: {limit.Type}");
        }

        byte[] value = new byte[16]; // struct rlimit64
        BinaryPrimitives.WriteUInt64LittleEndian(value, limit.Soft);
        BinaryPrimitives.WriteUInt64LittleEndian(value.AsSpan(8), limit.Hard);
        plan.Add($"prlimit64 {limit.Type} {limit.Soft}:{limit.Hard}", SystemCall.Prlimit64, [0, resource, plan.Bytes(value), 0]);
    }

    /// <summary>
    /// The working directory, found inside the root and entered by descriptor: no link of procfs can lead to one that was left open
    /// (CVE-2024-21626).
    /// </summary>
    /// <param name="path">
    /// Without <c>..</c>, also behind links, where that could be found out: the kernel refuses to walk such a path inside a root, with EAGAIN, when
    /// anything on the host is renamed or mounted meanwhile, and a plan cannot try again.
    /// </param>
    public void EnterWorkingDirectory(PlanArgument root, ReadOnlySpan<byte> path)
    {
        int directory = plan.OpenBelow(root, path, OpenFlags.Path | OpenFlags.Directory, Resolution.Contained, "working directory");
        plan.Add($"fchdir \"{process.Cwd}\"", SystemCall.Fchdir, [PlanArgument.ResultOf(directory)]);
    }

    /// <summary>Standard streams of its own belong to the user, so that /dev/stdout can be reopened (runc does the same).</summary>
    public void GiveStreams(bool stdinIsPipe)
    {
        if (process.User.Uid != 0)
        {
            GiveStreams(process.User.Uid, stdinIsPipe);
        }
    }

    private void GiveStreams(uint owner, bool stdinIsPipe)
    {
        for (int stream = process.Terminal || stdinIsPipe ? 0 : 1; stream <= (process.Terminal ? 0 : 2); stream++)
        {
            plan.Add($"fchown {stream} to {owner}", SystemCall.Fchown, [stream, owner, -1], Errno.EPERM, Errno.EINVAL);
        }
    }

    /// <summary>A label that a security module applies at execve.</summary>
    public void AddSecurityLabel()
    {
        if (!string.IsNullOrEmpty(process.ApparmorProfile))
        {
            plan.WriteProc(Proc, "self/attr/apparmor/exec", "exec " + process.ApparmorProfile);
        }

        if (!string.IsNullOrEmpty(process.SelinuxLabel))
        {
            plan.WriteProc(Proc, "self/attr/exec", process.SelinuxLabel);
        }
    }

    /// <summary>
    /// User, groups, capabilities and seccomp. Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before the capabilities are
    /// dropped; with it, last of all: the filter then need not allow anything but execve.
    /// </summary>
    public void AddCredentials()
    {
        CapabilitySets sets = process.Capabilities ?? new CapabilitySets();
        ulong own = Capability.Own.Permitted;
        ulong bounding = Mask(sets.Bounding);
        for (int capability = 0; capability <= Capability.Last; capability++)
        {
            if ((bounding & (1UL << capability)) == 0)
            {
                plan.Add($"prctl PR_CAPBSET_DROP {Name(capability)}", SystemCall.Prctl, [PR_CAPBSET_DROP, capability, 0, 0, 0]);
            }
        }

        bool changesUser = process.User.Uid != 0;
        if (changesUser)
        {
            plan.Add("prctl PR_SET_KEEPCAPS 1", SystemCall.Prctl, [PR_SET_KEEPCAPS, 1, 0, 0, 0]);
        }

        AddUser();
        bool early = seccomp is not null && !process.NoNewPrivileges;
        if (early)
        {
            if (changesUser)
            {
                // Giving up user 0 has cleared the effective set.
                AddCapset("all, for seccomp", own, own, 0);
            }

            AddSeccomp();
        }

        // What this process does not have it cannot give: the engine itself may be confined.
        ulong permitted = Mask(sets.Permitted) & own;
        ulong inheritable = Mask(sets.Inheritable) & (own | Capability.Own.Inheritable);
        AddCapset($"{Capability.OfMask(permitted).Count} capabilities", Mask(sets.Effective) & permitted, permitted, inheritable);
        plan.Add("prctl PR_CAP_AMBIENT_CLEAR_ALL", SystemCall.Prctl, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0]);
        foreach (string name in sets.Ambient)
        {
            ulong bit = Mask([name]);
            if ((bit & permitted & inheritable) != 0)
            {
                plan.Add($"prctl PR_CAP_AMBIENT_RAISE {name}", SystemCall.Prctl, [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, System.Numerics.BitOperations.Log2(bit), 0, 0]);
            }
        }

        if (process.NoNewPrivileges)
        {
            plan.Add("prctl PR_SET_NO_NEW_PRIVS", SystemCall.Prctl, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
        }

        if (seccomp is not null && !early)
        {
            AddSeccomp();
        }
    }

    public void Execute(string path) =>
        plan.Add($"execve \"{path}\"", SystemCall.Execve, [plan.Text(path), plan.TextArray(process.Args), plan.TextArray(process.Env)]);

    /// <summary>The init is executed by descriptor: a seccomp profile of the user's has to allow execveat, as Docker's default one does.</summary>
    public void ExecuteUnderInit(string path) => plan.Add(
        $"execveat {InitProgram.Name} for \"{path}\"",
        SystemCall.ExecveAt,
        [
            plan.Own(InitProgram.Create(path)), plan.Text(""), plan.TextArray([$"/sbin/{InitProgram.Name}", "--", .. process.Args]), plan.TextArray(process.Env),
            PlanSteps.AT_EMPTY_PATH,
        ]);

    private void AddUser()
    {
        UserSpec user = process.User;
        byte[] groups = new byte[user.AdditionalGids.Count * 4];
        for (int i = 0; i < user.AdditionalGids.Count; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(groups.AsSpan(i * 4), user.AdditionalGids[i]);
        }

        plan.Add($"setgroups {string.Join(',', user.AdditionalGids)}", SystemCall.Setgroups, [user.AdditionalGids.Count, plan.Bytes(groups)]);
        plan.Add($"setresgid {user.Gid}", SystemCall.Setresgid, [user.Gid, user.Gid, user.Gid]);
        plan.Add($"setresuid {user.Uid}", SystemCall.Setresuid, [user.Uid, user.Uid, user.Uid]);
    }

    private void AddCapset(string description, ulong effective, ulong permitted, ulong inheritable)
    {
        byte[] header = new byte[8]; // version, pid 0
        BinaryPrimitives.WriteUInt32LittleEndian(header, LINUX_CAPABILITY_VERSION_3);
        byte[] data = new byte[24]; // two of effective, permitted, inheritable: low and high halves
        for (int half = 0; half < 2; half++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(half * 12), (uint)(effective >> (32 * half)));
            BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan((half * 12) + 4), (uint)(permitted >> (32 * half)));
            BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan((half * 12) + 8), (uint)(inheritable >> (32 * half)));
        }

        plan.Add($"capset {description}", SystemCall.Capset, [plan.Bytes(header), plan.Bytes(data)]);
    }

    private void AddSeccomp()
    {
        int count = seccomp!.Instructions.Length / 8;
        byte[] program = new byte[16]; // struct sock_fprog: length, pointer
        BinaryPrimitives.WriteUInt16LittleEndian(program, checked((ushort)count));
        PlanArgument pointer = plan.Bytes(program);
        plan.SetPointer((int)pointer.Value + 8, plan.Bytes(seccomp.Instructions.Span));
        plan.Add($"seccomp filter of {count} instructions", SystemCall.Seccomp, [SECCOMP_SET_MODE_FILTER, seccomp.Flags, pointer]);
    }

    private static ulong Mask(IReadOnlyList<string> names)
    {
        try
        {
            return Capability.Mask(names);
        }
        catch (ArgumentException e)
        {
            throw PlanException.Invalid(e.Message, e);
        }
    }

    private static string Name(int capability) => capability < Capability.Names.Count ? Capability.Names[capability] : capability.ToString(CultureInfo.InvariantCulture);

    /// <summary>RLIMIT_* by number (asm-generic/resource.h).</summary>
    private static readonly string[] s_resources =
    [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
        "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ];
}
