using System.Diagnostics;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Tests.Kernel.Process;

namespace Slipway.Tests.Kernel.Compilation;

/// <summary>How a container of the tests ended.</summary>
internal sealed record Ended(int ExitCode, string Output, PlanFailure? Failure);

/// <summary>A root file system made of busybox, and containers run from it by plans. Nothing of it is attached anywhere on the host.</summary>
internal sealed class TestContainer : IDisposable
{
    public static readonly string[] DefaultCapabilities =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
        "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ];

    private static readonly Lazy<SafeFileHandle> s_image = new(MakeImage);

    private readonly Launcher _launcher = new();
    private readonly SafeFileHandle _layers = FileSystemContext.Mount("tmpfs", MountAttributes.None, "mode=755");
    private readonly RootDirectory _layersRoot;
    private readonly SafeFileHandle _upper;
    private int _works;

    public TestContainer()
    {
        _layersRoot = new RootDirectory(Descriptors.Duplicate(_layers));
        _upper = Make("upper");
        Upper = new RootDirectory(Descriptors.Duplicate(_upper));
    }

    /// <summary>The writable layer: what a test puts here, the container has. Names that the image has hide the image's.</summary>
    public RootDirectory Upper { get; }

    public string Scratch { get; } = Directory.CreateTempSubdirectory("slipway-compile-").FullName;

    public void Dispose()
    {
        _launcher.Dispose();
        Upper.Dispose();
        _upper.Dispose();
        _layersRoot.Dispose();
        _layers.Dispose();
        Directory.Delete(Scratch, recursive: true);
    }

    /// <summary>Docker's defaults, as far as they concern the plan.</summary>
    public static Spec Spec(params string[] args) => new()
    {
        Root = new RootSpec(""),
        Hostname = "web",
        Process = new ProcessSpec
        {
            Args = args,
            Env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            User = new UserSpec(0, 0) { AdditionalGids = [0] },
            Capabilities = new CapabilitySets { Bounding = DefaultCapabilities, Effective = DefaultCapabilities, Permitted = DefaultCapabilities },
            OomScoreAdj = 0,
        },
        Mounts =
        [
            new MountSpec("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
            new MountSpec("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            new MountSpec("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            new MountSpec("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
            new MountSpec("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid", "noexec", "nodev"]),
            new MountSpec("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
            new MountSpec("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        ],
        Linux = new LinuxSpec
        {
            Namespaces = [new("mount"), new("pid"), new("ipc"), new("uts"), new("network")],
            MaskedPaths =
            [
                "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
            ],
            ReadonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    };

    public static Spec Shell(string script) => Spec("sh", "-c", script);

    /// <summary>A detached root file system: the image below, the test's layer above.</summary>
    public SafeFileHandle Rootfs()
    {
        using SafeFileHandle work = Make($"work{_works++}");
        return OverlayMount.Create([s_image.Value], _upper, work, OverlayOptions.Default);
    }

    public PlanContext Context() => new() { Rootfs = Rootfs() };

    public CompiledPlan Compile(Spec spec) => PlanCompiler.Compile(spec, Context());

    public async Task<Ended> Run(Spec spec) => await Run(Compile(spec));

    /// <summary>Runs a plan to the end of its process.</summary>
    public async Task<Ended> Run(CompiledPlan compiled)
    {
        await using Running running = await Start(compiled);
        return await running.Wait();
    }

    public async Task<Running> Start(CompiledPlan compiled)
    {
        string path = Path.Combine(Scratch, Guid.NewGuid().ToString("N"));
        SafeFileHandle output = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite);
        using SafeFileHandle input = compiled.Terminal is null ? PlanBuilder.Null() : PseudoTerminal.OpenPeer(compiled.Terminal);
        SafeFileHandle stdout = compiled.Terminal is null ? output : input;
        using (output)
        {
            LaunchOutcome outcome = await _launcher.LaunchAsync(new LaunchOrder(
                PlanDocument.Parse(PlanDocument.Serialize(compiled.Plan)), compiled.Plan.Descriptors, input, stdout, stdout));
            compiled.Plan.Dispose();
            return new Running(outcome, path);
        }
    }

    public static void Write(RootDirectory directory, string path, string content, uint mode = 0x1ED)
    {
        using SafeFileHandle file = directory.EnsureFile(path, mode).Descriptor!;
        using SafeFileHandle open = Descriptors.Reopen(file, OpenFlags.WriteOnly | OpenFlags.Truncate);
        Descriptors.Write(open, Encoding.UTF8.GetBytes(content));
    }

    private SafeFileHandle Make(string name)
    {
        _layersRoot.EnsureDirectory(name).Descriptor!.Dispose();
        return _layersRoot.Open(name, OpenFlags.Path | OpenFlags.Directory);
    }

    /// <summary>busybox-static with a link for each of its commands, in a tmpfs of its own.</summary>
    private static SafeFileHandle MakeImage()
    {
        const string Busybox = "/bin/busybox";
        if (!File.Exists(Busybox))
        {
            throw new InvalidOperationException("these tests need busybox: apt-get install busybox-static");
        }

        SafeFileHandle mount = FileSystemContext.Mount("tmpfs", MountAttributes.None, "mode=755");
        var root = new RootDirectory(mount);
        foreach (string directory in new[] { "bin", "etc", "proc", "sys", "dev", "tmp", "root" })
        {
            root.EnsureDirectory(directory).Descriptor!.Dispose();
        }

        using SafeFileHandle bin = root.Open("bin", OpenFlags.Path | OpenFlags.Directory);
        using (SafeFileHandle program = DirectoryEntry.CreateFile(bin, "busybox", 0x1ED))
        {
            Descriptors.Write(program, File.ReadAllBytes(Busybox));
        }

        using var list = System.Diagnostics.Process.Start(new ProcessStartInfo(Busybox, "--list") { RedirectStandardOutput = true })!;
        foreach (string command in list.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(c => c != "busybox"))
        {
            DirectoryEntry.CreateHardLink(bin, "busybox", bin, command);
        }

        list.WaitForExit();
        Write(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", 0x1A4);
        Write(root, "etc/group", "root:x:0:root\nuser:x:1000:\nextra:x:1001:user\n", 0x1A4);
        return mount;
    }
}

/// <summary>A launched process, killed and reaped when it is disposed.</summary>
internal sealed class Running(LaunchOutcome outcome, string outputPath) : IAsyncDisposable
{
    private const int SIGKILL = 9;

    private bool _reaped;

    public LaunchOutcome Outcome { get; } = outcome;

    public string Output => File.ReadAllText(outputPath);

    public async Task<Ended> Wait()
    {
        if (Outcome.Pidfd is null)
        {
            return new Ended(-1, Output, Outcome.Failure);
        }

        for (int i = 0; i < 2000; i++)
        {
            if (Pidfd.TryWait(Outcome.Pidfd) is { } status)
            {
                _reaped = true;
                return new Ended(status.ExitCode, Output, null);
            }

            await Task.Delay(5);
        }

        throw new TimeoutException($"the process did not end; it wrote: {Output}");
    }

    /// <summary>Waits until the output contains a text.</summary>
    public async Task Wrote(string text)
    {
        for (int i = 0; i < 2000 && !Output.Contains(text, StringComparison.Ordinal); i++)
        {
            await Task.Delay(5);
        }

        Xunit.Assert.Contains(text, Output, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync()
    {
        if (Outcome.Pidfd is not null)
        {
            if (!_reaped)
            {
                Pidfd.SendSignal(Outcome.Pidfd, SIGKILL);
                Pidfd.Wait(Outcome.Pidfd);
            }

            Outcome.Pidfd.Dispose();
        }

        return ValueTask.CompletedTask;
    }
}
