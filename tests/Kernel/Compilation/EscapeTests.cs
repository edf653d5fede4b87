using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Tests.Kernel.Mounts;
using Xunit;

namespace Slipway.Tests.Kernel.Compilation;

/// <summary>What broke out of other runtimes, tried here (docs/security.md).</summary>
public sealed class EscapeTests : IDisposable
{
    private readonly TestContainer _container = new();
    private readonly string _victim;

    public EscapeTests()
    {
        _victim = Path.Combine(_container.Scratch, "victim");
        Directory.CreateDirectory(_victim);
    }

    public void Dispose() => _container.Dispose();

    private string Shared(string name)
    {
        string path = Path.Combine(_container.Scratch, name);
        Directory.CreateDirectory(path);
        return path;
    }

    private void Link(string name, string target) => DirectoryEntry.CreateSymbolicLink(_container.Upper.Descriptor, name, target);

    [Theory]
    [InlineData("/proc/self/exe")]
    [InlineData("/link")]
    [InlineData("/bin/../link")]
    public void CVE_2019_5736_the_engines_own_program_is_not_executed(string program)
    {
        Link("link", "/proc/self/exe");
        var error = Assert.Throws<PlanException>(() => _container.Compile(TestContainer.Spec(program)));
        Assert.Equal($"exec: \"{program}\": permission denied", error.Message);
    }

    [Fact]
    public async Task CVE_2019_5736_an_exec_cannot_overwrite_the_engines_program()
    {
        string own = Environment.ProcessPath!;
        byte[] before = SHA256.HashData(File.ReadAllBytes(own));

        // The container waits for processes that join it and tries to write to the program they come from.
        await using Running container = await _container.Start(_container.Compile(TestContainer.Shell(
            "printf '#!/proc/self/exe\\n' > /bin/trap; chmod 755 /bin/trap; echo ready; "
            + "while :; do for p in /proc/[0-9]*; do (echo overwritten >> $p/exe) 2>/dev/null && echo WROTE $(readlink $p/exe); done; done")));
        await container.Wrote("ready");
        var context = new ExecContext { Pid = container.Outcome.Pid, Pidfd = container.Outcome.Pidfd!, Namespaces = ["mount", "pid", "ipc", "uts", "network"] };
        for (int i = 0; i < 30; i++)
        {
            await _container.Run(ExecCompiler.Compile(TestContainer.Spec(i % 2 == 0 ? "/bin/trap" : "true").Process, context));
        }

        Assert.DoesNotContain("WROTE", container.Output, StringComparison.Ordinal);
        Assert.Equal(before, SHA256.HashData(File.ReadAllBytes(own)));
    }

    [Fact]
    public async Task CVE_2024_21626_no_descriptor_leads_a_container_out_of_its_root()
    {
        Spec spec = TestContainer.Spec("pwd");
        for (int n = 3; n <= 64; n++)
        {
            Ended ended = await _container.Run(spec with { Process = spec.Process with { Cwd = $"/proc/self/fd/{n}" } });
            Assert.NotNull(ended.Failure);
            Assert.Contains("working directory", ended.Failure.Description, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task CVE_2024_21626_a_link_to_a_descriptor_is_no_working_directory()
    {
        Link("w", "/proc/self/fd/8");
        Spec spec = TestContainer.Spec("pwd");
        Assert.NotNull((await _container.Run(spec with { Process = spec.Process with { Cwd = "/w" } })).Failure);
    }

    [Fact]
    public async Task CVE_2015_3627_nothing_opened_before_the_pivot_is_left()
    {
        // Without a pipeline, whose ends the shell holds for a moment, and not as the last command, which a shell may become itself.
        Ended ended = await _container.Run(TestContainer.Shell("ls /proc/1/fd; true"));
        Assert.Equal("0\n1\n2\n", ended.Output);
    }

    [Fact]
    public async Task CVE_2025_31133_masks_are_the_null_device_whatever_dev_null_is_in_the_container()
    {
        // A shared directory as /dev, in which another container swaps null for a link to what is to be unmasked.
        string dev = Shared("dev");
        File.WriteAllText(Path.Combine(dev, "null"), "");
        File.CreateSymbolicLink(Path.Combine(dev, "other"), "/proc/sysrq-trigger");
        using var racer = new ExchangeRacer(dev, "null", "other");
        Spec spec = TestContainer.Shell("cat /proc/keys /proc/timer_list | wc -c; stat -c %t:%T /proc/keys");
        spec = spec with { Mounts = [spec.Mounts[0], new MountSpec("/dev", "bind", dev, ["rbind"]), .. spec.Mounts.Where(m => m.Destination == "/sys")] };
        for (int i = 0; i < 40; i++)
        {
            Ended ended = await _container.Run(spec);
            Assert.Equal(new Ended(0, "0\n1:3\n", null), ended);
        }

        Assert.True(racer.Swaps > 100);
    }

    [Fact]
    public async Task CVE_2025_52565_the_console_is_the_containers_terminal_and_no_other_mount_appears()
    {
        // What the image has below /dev must not matter.
        _container.Upper.EnsureDirectory("dev").Descriptor!.Dispose();
        using (SafeFileHandle dev = _container.Upper.Open("dev", OpenFlags.Path))
        {
            DirectoryEntry.CreateSymbolicLink(dev, "console", "/proc/sysrq-trigger");
            DirectoryEntry.CreateSymbolicLink(dev, "pts", "/proc");
        }

        Spec spec = TestContainer.Shell("cut -d' ' -f5 /proc/self/mountinfo | sort > /out; stat -c %t /dev/console >> /out");
        CompiledPlan plan = _container.Compile(spec with { Process = spec.Process with { Terminal = true } });
        using SafeFileHandle? terminal = plan.Terminal;
        Assert.Equal(0, (await _container.Run(plan)).ExitCode);
        string[] expected =
        [
            .. new[] { "/", "/dev/console" }.Concat(spec.Mounts.Select(m => m.Destination))
                .Concat(spec.Linux.MaskedPaths.Concat(spec.Linux.ReadonlyPaths).Where(Path.Exists)).Order(StringComparer.Ordinal), "88",
        ];
        Assert.Equal(expected, System.Text.Encoding.UTF8.GetString(_container.Upper.ReadFile("out", 10000)).TrimEnd().Split('\n'));
    }

    /// <summary>Another container exchanges what lies below a shared /dev for links to what is to be covered while the terminal is put there.</summary>
    [Fact]
    public async Task CVE_2025_52565_a_console_that_is_exchanged_meanwhile_covers_nothing_else()
    {
        string dev = Shared("dev");
        File.WriteAllText(Path.Combine(dev, "console"), "");
        File.CreateSymbolicLink(Path.Combine(dev, "other"), "/proc/sysrq-trigger");
        Directory.CreateDirectory(Path.Combine(dev, "pts"));
        using var racer = new ExchangeRacer(dev, "console", "other");
        Spec spec = TestContainer.Shell("cut -d' ' -f5 /proc/self/mountinfo | sort > /out");
        spec = spec with
        {
            Process = spec.Process with { Terminal = true },
            Mounts = [spec.Mounts[0], new MountSpec("/dev", "bind", dev, ["rbind"]), spec.Mounts.Single(m => m.Destination == "/dev/pts"), .. spec.Mounts.Where(m => m.Destination == "/sys")],
        };
        string[] covered = [.. spec.Linux.MaskedPaths.Concat(spec.Linux.ReadonlyPaths).Where(Path.Exists), "/", .. spec.Mounts.Select(m => m.Destination)];
        int ran = 0;
        for (int i = 0; i < 40; i++)
        {
            CompiledPlan plan = _container.Compile(spec);
            using SafeFileHandle? terminal = plan.Terminal;
            Ended ended = await _container.Run(plan);
            if (ended.Failure is not null)
            {
                continue;
            }

            ran++;

            // The terminal on the file itself by whichever of its names, or nowhere: once each of all others, and nothing besides.
            string[] mounted = System.Text.Encoding.UTF8.GetString(_container.Upper.ReadFile("out", 10000)).TrimEnd().Split('\n');
            Assert.Empty(mounted.Except(covered).Except(["/dev/console", "/dev/other"]));
            Assert.Equal(mounted.Distinct(), mounted);
        }

        Assert.True(ran > 0);
        Assert.True(racer.Swaps > 100);
    }

    [Theory]
    [InlineData("/proc/sys")]
    [InlineData("/proc/self/attr")]
    [InlineData("/proc")]
    [InlineData("/evil")]
    public void CVE_2025_52881_nothing_is_mounted_over_procfs(string destination)
    {
        Link("evil", "proc/sys");
        Spec spec = TestContainer.Spec("true");
        var error = Assert.Throws<PlanException>(() => _container.Compile(spec with { Mounts = [.. spec.Mounts, new MountSpec(destination, "bind", _victim, ["bind"])] }));
        Assert.EndsWith("cannot be mounted because it is inside /proc", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CVE_2025_52881_parameters_are_written_to_the_kernel_and_nowhere_else()
    {
        // Without a procfs of the engine's making at /proc, a directory there can look like one.
        Directory.CreateDirectory(Path.Combine(_victim, "sys/net/ipv4"));
        string decoy = Path.Combine(_victim, "sys/net/ipv4/ip_unprivileged_port_start");
        File.WriteAllText(decoy, "decoy");
        Spec spec = TestContainer.Shell("mount -t proc proc /tmp; cat /tmp/sys/net/ipv4/ip_unprivileged_port_start");
        string[] capabilities = [.. TestContainer.DefaultCapabilities, "CAP_SYS_ADMIN"];
        spec = spec with
        {
            Process = spec.Process with { Capabilities = new CapabilitySets { Bounding = capabilities, Effective = capabilities, Permitted = capabilities } },
            Mounts = [new MountSpec("/fake", "bind", _victim, ["bind"])],
            Linux = spec.Linux with { MaskedPaths = [], ReadonlyPaths = [], Sysctl = new Dictionary<string, string> { ["net.ipv4.ip_unprivileged_port_start"] = "9" } },
        };
        Assert.Equal(new Ended(0, "9\n", null), await _container.Run(spec));
        Assert.Equal("decoy", File.ReadAllText(decoy));
    }

    [Theory]
    [InlineData("net.ipv4.ip_forward/../../../kernel/core_pattern")]
    [InlineData("kernel.core_pattern")]
    [InlineData("net/../kernel/core_pattern")]
    public void Parameters_of_the_host_are_refused(string name)
    {
        Spec spec = TestContainer.Spec("true");
        Assert.Throws<PlanException>(() => _container.Compile(spec with { Linux = spec.Linux with { Sysctl = new Dictionary<string, string> { [name] = "x" } } }));
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("proc")]
    [InlineData("sys")]
    public void CVE_2026_41579_an_image_whose_dev_proc_or_sys_is_no_directory_is_refused(string name)
    {
        Link(name, _victim);
        var error = Assert.Throws<PlanException>(() => _container.Compile(TestContainer.Spec("true")));
        Assert.Equal($"invalid image: /{name} is a symbolic link, it must be an ordinary directory", error.Message);
        _container.Upper.Remove(name);
        TestContainer.Write(_container.Upper, name, "file");
        error = Assert.Throws<PlanException>(() => _container.Compile(TestContainer.Spec("true")));
        Assert.Equal($"invalid image: /{name} is a file, it must be an ordinary directory", error.Message);
        Assert.Empty(Directory.GetFileSystemEntries(_victim));
    }

    /// <summary>
    /// The image's /proc leads into a volume that another container writes: labels and parameters would be written there, and masks mounted. The second
    /// advisory is the first again, through a link that is put there by the volume.
    /// </summary>
    [Theory]
    [InlineData("proc", "volume/proc")]
    [InlineData("proc", "../volume/proc")]
    public void CVE_2019_19921_CVE_2023_27561_a_proc_that_leads_into_a_volume_is_refused(string name, string target)
    {
        Directory.CreateDirectory(Path.Combine(_victim, "proc/self/attr"));
        Link(name, target);
        Spec spec = TestContainer.Spec("true");
        Assert.Throws<PlanException>(() => _container.Compile(spec with { Mounts = [new MountSpec("/volume", "bind", _victim, ["bind"]), .. spec.Mounts] }));
        Assert.Equal(["proc"], Directory.GetFileSystemEntries(_victim).Select(Path.GetFileName));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_victim, "proc/self/attr")));
    }

    [Fact]
    public async Task CVE_2026_55686_a_working_directory_behind_links_is_made_inside()
    {
        Link("w", "../../../.." + _victim);
        Spec spec = TestContainer.Shell("pwd -P");
        Ended ended = await _container.Run(spec with { Process = spec.Process with { Cwd = "/w/made" } });
        Assert.Null(ended.Failure);
        Assert.Equal($"{_victim}/made\n", ended.Output);
        Assert.Empty(Directory.GetFileSystemEntries(_victim));
    }

    [Fact]
    public async Task CVE_2021_30465_mount_points_exchanged_for_links_never_lead_out()
    {
        // Two containers share a volume; one swaps a directory in it for a link to / while the other is started with a mount there.
        string shared = Shared("shared");
        Directory.CreateDirectory(Path.Combine(shared, "target"));
        File.CreateSymbolicLink(Path.Combine(shared, "link"), "/etc");
        using var racer = new ExchangeRacer(shared, "target", "link");
        Spec spec = TestContainer.Shell("cut -d' ' -f5 /proc/self/mountinfo | grep -v -e '^/proc' -e '^/sys' -e '^/dev' -e '^/$'; ls /vol/target");
        spec = spec with
        {
            Mounts = [.. spec.Mounts, new MountSpec("/vol", "bind", shared, ["rbind"]), new MountSpec("/vol/target", "bind", _victim, ["bind"])],
        };
        string[] mounts = HostMounts.Besides(_container.Scratch);
        string[] etc = Directory.GetFileSystemEntries("/etc");
        int started = 0;
        for (int i = 0; i < 60; i++)
        {
            Ended ended;
            try
            {
                ended = await _container.Run(spec);
            }
            catch (PlanException)
            {
                continue;
            }

            if (ended.Failure is null)
            {
                started++;

                // In the volume, or where the link leads inside the container.
                Assert.Matches("^/vol\n(/vol/target|/vol/link|/etc)\n", ended.Output);
            }
            else
            {
                Assert.Contains(ended.Failure.Errno, new[] { Errno.ELOOP, Errno.ENOENT, Errno.ENOTDIR });
            }
        }

        Assert.True(started > 0);
        Assert.Equal(mounts, HostMounts.Besides(_container.Scratch));
        Assert.Equal(etc, Directory.GetFileSystemEntries("/etc"));
        Assert.True(racer.Swaps > 100);
    }

    [Fact]
    public void A_mount_point_that_is_a_link_to_the_root_is_refused()
    {
        Link("vol", "/");
        Spec spec = TestContainer.Spec("true");
        Assert.Throws<PlanException>(() => _container.Compile(spec with { Mounts = [.. spec.Mounts, new MountSpec("/vol", "bind", _victim, ["bind"])] }));
    }

    /// <summary>Exchanges two names of a directory as fast as it can.</summary>
    private sealed class ExchangeRacer : IDisposable
    {
        private readonly SafeFileHandle _directory;
        private readonly Thread _thread;
        private volatile bool _stop;
        private long _swaps;

        public ExchangeRacer(string directory, string one, string other)
        {
            _directory = new HostPath(directory).Open(OpenFlags.Path | OpenFlags.Directory);
            _thread = new Thread(() =>
            {
                while (!_stop)
                {
                    DirectoryEntry.Rename(_directory, one, _directory, other, RenameFlags.Exchange);
                    Interlocked.Increment(ref _swaps);
                }
            })
            { IsBackground = true, Name = "exchange racer" };
            _thread.Start();
        }

        public long Swaps => Interlocked.Read(ref _swaps);

        public void Dispose()
        {
            _stop = true;
            _thread.Join();
            _directory.Dispose();
        }
    }
}
