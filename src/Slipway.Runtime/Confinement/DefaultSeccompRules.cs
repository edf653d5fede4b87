using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>
/// The system calls a container may make unless told otherwise: equal in effect to the default profile of Docker's 28 line.
/// Whatever is not named is refused with EPERM, and what is newer than everything named, with ENOSYS.
/// </summary>
internal static class DefaultSeccompRules
{
    private const uint EPERM = 1;
    private const uint ENOSYS = 38;

    private const ulong AF_ALG = 38;
    private const ulong AF_VSOCK = 40;

    /// <summary>CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: the flags of clone(2) that make namespaces.</summary>
    private const ulong NamespaceFlags = 0x7E020000;

    // personality(2): PER_LINUX, PER_LINUX32, UNAME26 with either, and the query.
    private static readonly ulong[] Personalities = [0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF];

    private static readonly SubjectCalls[] Always =
    [
        // 32-bit and other historical forms stand beside the call they vary; an architecture without them ignores them.
        new("opening and closing", "open openat openat2 creat close close_range name_to_handle_at memfd_create memfd_secret"),
        new("reading and writing",
            "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek readahead fadvise64 fadvise64_64 " +
            "sendfile sendfile64 copy_file_range splice tee vmsplice"),
        new("asynchronous input and output",
            "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64"),
        new("durability", "sync syncfs fsync fdatasync sync_file_range"),
        new("file size", "truncate truncate64 ftruncate ftruncate64 fallocate"),
        new("descriptors", "dup dup2 dup3 fcntl fcntl64 flock ioctl pipe pipe2 eventfd eventfd2"),
        new("waiting for descriptors",
            "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old " +
            "epoll_wait epoll_wait_old epoll_pwait epoll_pwait2"),
        new("directories and links",
            "mkdir mkdirat rmdir mknod mknodat link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat " +
            "renameat2 getdents getdents64 chdir fchdir getcwd"),
        new("file attributes",
            "stat stat64 fstat fstat64 lstat lstat64 newfstatat fstatat64 statx access faccessat faccessat2 chmod fchmod fchmodat " +
            "fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 umask utime utimes futimesat utimensat utimensat_time64"),
        new("extended attributes",
            "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr " +
            "listxattrat removexattr lremovexattr fremovexattr removexattrat"),
        new("file systems", "statfs statfs64 fstatfs fstatfs64 statmount listmount"),
        new("watching files", "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark"),
        new("memory",
            "brk mmap mmap2 munmap mremap mprotect madvise mincore msync mseal mlock mlock2 mlockall munlock munlockall membarrier " +
            "remap_file_pages cachestat map_shadow_stack pkey_alloc pkey_free pkey_mprotect"),
        new("processes and threads",
            "fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid getsid " +
            "setsid pidfd_open pidfd_send_signal process_mrelease set_tid_address set_thread_area get_thread_area rseq prctl " +
            "restart_syscall uretprobe"),
        new("locks between threads",
            "futex futex_time64 futex_wait futex_waitv futex_wake futex_requeue set_robust_list get_robust_list"),
        new("signals",
            "kill tkill tgkill sigaltstack sigprocmask sigreturn rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo " +
            "rt_tgsigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 signalfd signalfd4 pause"),
        new("identity",
            "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 " +
            "getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 " +
            "setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset"),
        new("restricting oneself further", "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"),
        new("limits and usage", "getrlimit ugetrlimit setrlimit prlimit64 getrusage sysinfo times uname getrandom"),
        new("scheduling",
            "sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam " +
            "sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval " +
            "sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getcpu riscv_hwprobe"),
        new("clocks",
            "time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep " +
            "clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64"),
        new("timers",
            "alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime " +
            "timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64"),
        new("sockets; socket(2) itself is below",
            "socketcall socketpair bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt send " +
            "sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64"),
        new("System V and POSIX communication",
            "ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget mq_open " +
            "mq_unlink mq_getsetattr mq_notify mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64"),
    ];

    /// <summary>Calls that come with a capability: whoever holds it could do worse without them.</summary>
    private static readonly (string Capability, string Calls)[] WithCapability =
    [
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYS_ADMIN",
            "mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick quotactl quotactl_fd " +
            "fanotify_init lookup_dcookie clone clone3 unshare setns sethostname setdomainname bpf perf_event_open syslog " +
            "lsm_get_self_attr lsm_set_self_attr lsm_list_modules"),
        ("CAP_SYS_BOOT", "reboot"),
        ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_MODULE", "init_module finit_module delete_module"),
        ("CAP_SYS_PACCT", "acct"),
        ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"),
        ("CAP_SYS_RAWIO", "iopl ioperm"),
        ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
        ("CAP_SYS_TTY_CONFIG", "vhangup"),
        ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_BPF", "bpf"),
        ("CAP_PERFMON", "perf_event_open"),
    ];

    /// <summary>Calls that only some processors have, by Go's names for them (as in Docker's profile format).</summary>
    private static readonly (string[] Architectures, string Calls)[] OnArchitecture =
    [
        (["amd64", "x32"], "arch_prctl"),
        (["amd64", "x32", "x86"], "modify_ldt"),
        (["arm", "arm64"], "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"),
    ];

    /// <summary>The profile.</summary>
    public static SeccompProfile Create()
    {
        List<SeccompProfileRule> rules = [Allow(string.Join(' ', Always.Select(subject => subject.Calls)))];

        // Before 4.8 a traced process could escape its filter (commit 93e35efb8de4).
        rules.Add(Allow("ptrace process_vm_readv process_vm_writev") with { Includes = new SeccompRuleCondition { MinimumKernel = new Version(4, 8) } });

        // AF_VSOCK reaches the hypervisor's host and knows no namespaces; AF_ALG puts much kernel code in reach and is never
        // indispensable. Everything else: below, between and above.
        rules.Add(AllowWhere("socket", "SCMP_CMP_LT", AF_ALG));
        rules.Add(AllowWhere("socket", "SCMP_CMP_EQ", AF_ALG + 1));
        rules.Add(AllowWhere("socket", "SCMP_CMP_GT", AF_VSOCK));
        rules.AddRange(Personalities.Select(persona => AllowWhere("personality", "SCMP_CMP_EQ", persona)));
        rules.AddRange(OnArchitecture.Select(group => Allow(group.Calls) with { Includes = new SeccompRuleCondition { Architectures = group.Architectures } }));
        rules.AddRange(WithCapability.Select(group => Allow(group.Calls) with { Includes = new SeccompRuleCondition { Capabilities = [group.Capability] } }));

        // Threads and processes, but no new namespaces. clone3 has its flags in memory, where no filter can look: with ENOSYS
        // the C library goes back to clone.
        SeccompRuleCondition unlessAdministrator = new() { Capabilities = ["CAP_SYS_ADMIN"] };
        rules.Add(AllowWhere("clone", "SCMP_CMP_MASKED_EQ", NamespaceFlags) with { Excludes = unlessAdministrator });
        rules.Add(new SeccompProfileRule { Rule = new() { Names = ["clone3"], Action = "SCMP_ACT_ERRNO", ErrnoRet = ENOSYS }, Excludes = unlessAdministrator });

        return new SeccompProfile
        {
            DefaultAction = "SCMP_ACT_ERRNO",
            DefaultErrnoRet = EPERM,
            ArchitectureMap =
            [
                new("SCMP_ARCH_X86_64", ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
                new("SCMP_ARCH_AARCH64", ["SCMP_ARCH_ARM"]),
            ],
            Rules = rules,
        };
    }

    private static SeccompProfileRule Allow(string calls) => new() { Rule = new SeccompRule { Names = calls.Split(' '), Action = "SCMP_ACT_ALLOW" } };

    /// <summary>Allows a call by its first argument. For a masked comparison the value is the mask, and the bits must be clear.</summary>
    private static SeccompProfileRule AllowWhere(string call, string comparison, ulong value) =>
        new() { Rule = new SeccompRule { Names = [call], Action = "SCMP_ACT_ALLOW", Args = [new SeccompArgument(0, value, 0, comparison)] } };

    private readonly record struct SubjectCalls(string Subject, string Calls);
}
