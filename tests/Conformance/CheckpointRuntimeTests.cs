using System.Globalization;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>
/// An engine with experimental features and two runtimes of the host: <c>criu</c>, which is runc with the criu of the folder SLIPWAY_CRIU, else Debian's; and <c>marking</c>, which is runc with a
/// checkpoint and a restore of its own, so that the engine's part is tested wherever criu and kernel do not fit each other.
/// </summary>
public sealed class CheckpointEngine : IAsyncLifetime
{
    /// <summary>A checkpoint is a file with what the container has written to /state; a restore runs it again with that file in /restored.</summary>
    private const string Marking = """
        #!/bin/sh
        root=$2 log=$4; for last; do :; done
        case " $* " in *" --leave-running "*) leave=1 ;; esac
        for word; do
          [ "$previous" = --image-path ] && images=$word
          [ "$previous" = --bundle ] && bundle=$word
          [ "$previous" = --pid-file ] && pid=$word
          previous=$word
        done
        case "$7" in
          checkpoint)
            grep -q refuse "$root/../rootfs/state" && { echo '{"level":"error","msg":"criu does not want to"}' > "$log"; exit 1; }
            cp "$root/../rootfs/state" "$images/state" || exit
            [ "$leave" ] || runc --root "$root" kill "$last" KILL ;;
          restore)
            cp "$images/state" "$bundle/rootfs/restored" || exit
            exec runc --root "$root" --log "$log" --log-format json run --bundle "$bundle" --pid-file "$pid" "$last" ;;
          *) exec runc "$@" ;;
        esac
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-checkpoint-").FullName;

    public CheckpointEngine() => Engine = new Engine("ckp") { Flags = ["--experimental", "--add-runtime", $"criu={_folder}/criu", "--add-runtime", $"marking={_folder}/marking"] };

    public Engine Engine { get; }

    public async ValueTask InitializeAsync()
    {
        Requirement.Check(File.Exists("/usr/sbin/runc"), "needs runc: apt-get install runc");
        Requirement.Check(File.Exists("/usr/sbin/criu"), "needs criu: apt-get install criu");
        await Script("marking", Marking);
        await Script("criu", $"#!/bin/sh\nPATH={Environment.GetEnvironmentVariable("SLIPWAY_CRIU")}:/usr/sbin:/usr/bin:/bin; export PATH\nexec runc \"$@\"\n");
        await Engine.Start();
        await AlpineImage.Import(Engine.Docker);
    }

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task Script(string name, string text)
    {
        await File.WriteAllTextAsync($"{_folder}/{name}", text, CancellationToken.None);
        File.SetUnixFileMode($"{_folder}/{name}", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}

/// <summary>`docker checkpoint` and `docker start --checkpoint` with an engine whose experimental features are on.</summary>
public sealed class CheckpointRuntimeTests(SharedEngine shared, CheckpointEngine engine) : EngineTest(shared), IClassFixture<CheckpointEngine>
{
    private const string Program = "cat /restored 2>/dev/null || echo begun; echo first > /state; trap 'exit 7' TERM; while :; do sleep 0.1; done";

    private Docker Host => engine.Engine.Docker;

    [Fact]
    public async Task A_container_ends_with_its_checkpoint_and_goes_on_from_it()
    {
        await Start("goes", "--restart", "always");
        Assert.Equal("one", await Host.Ok("checkpoint", "create", "goes", "one"));
        Assert.Equal("exited 0", await Host.Inspect("goes", "{{.State.Status}} {{.RestartCount}}"));
        Assert.Equal("CHECKPOINT NAME\none", await Host.Ok("checkpoint", "ls", "goes"));
        await Host.Ok("start", "--checkpoint", "one", "goes");
        await Host.Until(output => output.Trim() == "begun\nfirst", ["logs", "goes"]);
        Assert.Equal("inside", await Host.Ok("exec", "goes", "echo", "inside"));
        await Host.Ok("stop", "goes");
        Assert.Equal("7", await Host.Inspect("goes", "{{.State.ExitCode}}"));

        // A start that names none begins anew; the checkpoint stays until it or its container is removed.
        await Host.Ok("rm", "goes");
        Assert.Empty(Directory.GetDirectories(Path.Combine(engine.Engine.DataRoot, "containers"), "checkpoints", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 }));
    }

    [Fact]
    public async Task One_that_is_left_running_can_have_several_in_any_directory()
    {
        await Start("left");
        var pid = await Host.Inspect("left", "{{.State.Pid}}");
        var events = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        await Host.Ok("checkpoint", "create", "--leave-running", "left", "one");
        await Host.Ok("checkpoint", "create", "--leave-running", "left", "two");
        Assert.Equal(pid, await Host.Inspect("left", "{{.State.Pid}}"));
        Assert.Contains("container checkpoint", await Host.Ok("events", "--since", events.ToString(CultureInfo.InvariantCulture), "--until", (DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1).ToString(CultureInfo.InvariantCulture), "--filter", "container=left"), StringComparison.Ordinal);
        await Refused("checkpoint with name two already exists for container left", "checkpoint", "create", "left", "two");
        Assert.Equal("", await Host.Ok("checkpoint", "rm", "left", "two"));
        await Refused("checkpoint two does not exist for container left", "checkpoint", "rm", "left", "two");
        Assert.Equal("CHECKPOINT NAME\none", await Host.Ok("checkpoint", "ls", "left"));

        var folder = Path.Combine(Folder(), "elsewhere");
        await Host.Ok("checkpoint", "create", "--checkpoint-dir", folder, "left", "far");
        Assert.Equal("first\n", await File.ReadAllTextAsync($"{folder}/far/state", Cancellation));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode($"{folder}/far"));
        Assert.Equal("CHECKPOINT NAME\nfar", await Host.Ok("checkpoint", "ls", "--checkpoint-dir", folder, "left"));
        await Host.Ok("start", "--checkpoint-dir", folder, "--checkpoint", "far", "left");
        await Host.Ok("checkpoint", "rm", "--checkpoint-dir", folder, "left", "far");
        Assert.Empty(Directory.GetFileSystemEntries(folder));
        await Host.Ok("rm", "-f", "left");
    }

    /// <summary>A checkpoint from elsewhere, with all that other engines read from theirs: the specification, labels that bring devices, the log, names of images.</summary>
    [Fact]
    public async Task CVE_2026_53489_CVE_2026_53492_CVE_2026_50195_what_lies_in_a_checkpoint_is_for_the_runtime_alone()
    {
        await Start("hostile");
        await Host.Ok("kill", "hostile");
        await Host.Ok("wait", "hostile");
        var (folder, secrets) = (Folder(), Folder());
        await File.WriteAllTextAsync($"{secrets}/secret", "secret of the host\n", Cancellation);
        Directory.CreateDirectory($"{folder}/evil");
        Directory.CreateSymbolicLink($"{folder}/elsewhere", secrets);
        await File.WriteAllTextAsync($"{folder}/evil/state", "restored\n", Cancellation);
        var specification = $$$"""
            {"ociVersion":"1.0.0","process":{"args":["sh"],"capabilities":{"effective":["CAP_SYS_ADMIN"],"bounding":["CAP_SYS_ADMIN"]}},"annotations":{"cdi.k8s.io/x":"vendor.com/net=card"},
            "hooks":{"prestart":[{"path":"/bin/touch","args":["touch","{{{secrets}}}/hooked"]}]},"mounts":[{"destination":"/host","type":"bind","source":"/","options":["rbind"]}]}
            """;
        foreach (var name in (string[])["config.json", "spec.dump", "config.dump", "network.status", "status", "index.json", "manifest.json"])
        {
            await File.WriteAllTextAsync($"{folder}/evil/{name}", specification, Cancellation);
        }

        await File.WriteAllTextAsync($"{folder}/evil/repositories", """{"alpine":{"latest":"sha256:0000"}}""", Cancellation);
        foreach (var name in (string[])["container.log", "ctr.log", "io.kubernetes.cri-o.log"])
        {
            File.CreateSymbolicLink($"{folder}/evil/{name}", $"{secrets}/secret");
        }

        const string shown = "{{json .HostConfig}} {{json .Config}} {{json .Mounts}} {{.Image}} {{.LogPath}}";
        var (before, images) = (await Host.Inspect("hostile", shown), await Host.Ok("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"));
        await Host.Ok("start", "--checkpoint-dir", folder, "--checkpoint", "evil", "hostile");
        await Host.Until(output => output.Contains("restored", StringComparison.Ordinal), ["logs", "hostile"]);
        Assert.Equal((before, images), (await Host.Inspect("hostile", shown), await Host.Ok("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")));
        Assert.DoesNotContain("secret", await Host.Ok("logs", "hostile"), StringComparison.Ordinal);
        Assert.Equal("CapEff:\t00000000a80425fb", await Host.Ok("exec", "hostile", "sh", "-c", "test ! -e /host && grep CapEff /proc/1/status"));
        await Host.Ok("kill", "hostile");
        await Host.Ok("wait", "hostile");
        await Refused("checkpoint elsewhere does not exist for container hostile", "start", "--checkpoint-dir", folder, "--checkpoint", "elsewhere", "hostile");
        await Refused("checkpoint elsewhere does not exist for container hostile", "checkpoint", "rm", "--checkpoint-dir", folder, "hostile", "elsewhere");
        Assert.Equal([$"{secrets}/secret"], Directory.GetFileSystemEntries(secrets));
        await Host.Ok("rm", "hostile");
    }

    [Fact]
    public async Task What_cannot_be_is_told_and_leaves_everything_as_it_was()
    {
        await Host.Ok("run", "-d", "--name", "own", "--pid", "host", "alpine", "sleep", "1000");
        await Refused("cannot checkpoint container own: it has the processes of others (--pid)", "checkpoint", "create", "own", "one");
        await Host.Ok("run", "-dt", "--name", "tty", "--runtime", "marking", "alpine", "sleep", "1000");
        await Refused("cannot checkpoint container tty: it has a terminal", "checkpoint", "create", "tty", "one");
        await Start("kept");
        await Refused("Invalid checkpoint ID (..), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", "checkpoint", "create", "kept", "..");
        await Refused("invalid checkpoint directory relative: it must be an absolute path", "checkpoint", "create", "--checkpoint-dir", "relative", "kept", "one");
        await Refused("No such container: nosuch", "checkpoint", "create", "nosuch", "one");
        await Host.Ok("exec", "kept", "sh", "-c", "echo refuse > /state");
        await Refused("Cannot checkpoint container kept: criu does not want to", "checkpoint", "create", "kept", "one");
        Assert.Equal("CHECKPOINT NAME", await Host.Ok("checkpoint", "ls", "kept"));
        Assert.Equal("running", await Host.Inspect("kept", "{{.State.Status}}"));
        await Host.Ok("pause", "kept");
        await Refused("is paused, unpause the container before checkpoint", "checkpoint", "create", "kept", "one");
        await Host.Ok("unpause", "kept");
        await Host.Ok("stop", "kept");
        await Refused("is not running", "checkpoint", "create", "kept", "one");
        await Refused("checkpoint one does not exist for container kept", "start", "--checkpoint", "one", "kept");
        Assert.Equal("exited", await Host.Inspect("kept", "{{.State.Status}}"));
        await Host.Ok("rm", "-f", "own", "tty", "kept");
    }

    /// <summary>
    /// With a criu that fits the kernel the processes' memory survives; with one that does not (Debian 12's 3.17 and the vDSO of Linux 6.13 and later) its word is told and the container goes on.
    /// </summary>
    [Fact]
    public async Task CRIU_is_asked_for_the_memory_of_the_processes()
    {
        var criu = Path.Combine(Environment.GetEnvironmentVariable("SLIPWAY_CRIU") is { Length: > 0 } folder ? folder : "/usr/sbin", "criu");
        await Count("memory", "--runtime", "criu");
        await (await Fits(criu) ? GoesOn("memory") : IsTold("memory"));
        await Host.Ok("rm", "-f", "memory");
    }

    /// <summary>Our own runtime executes the host's criu. What the container has from outside is around it again: mounts as they were, streams, groups, addresses; its exit code is told.</summary>
    [Fact]
    public async Task Our_own_runtime_asks_CRIU_as_well()
    {
        await Count("ours", "-v", "ckp-volume:/fixed:ro", "-v", "ckp-volume:/loose", "--tmpfs", "/tmpfs", "-m", "64m");
        if (await Fits(OwnCriu))
        {
            await Host.Ok("exec", "ours", "sh", "-c", "echo kept > /tmpfs/file");
            var shown = "{{.HostConfig.Memory}} {{json .NetworkSettings.Networks.bridge.IPAddress}}";
            var before = await Host.Inspect("ours", shown);
            await GoesOn("ours");
            Assert.Equal(before, await Host.Inspect("ours", shown));
            Assert.Equal("kept\nro\nrw", await Host.Ok("exec", "ours", "sh", "-c", "cat /tmpfs/file; touch /fixed/x 2>/dev/null || echo ro; touch /loose/x && echo rw"));
            Assert.Equal(before.Split('"')[1], await Host.Ok("exec", "ours", "sh", "-c", "ip -4 -o addr show eth0 | sed 's,.*inet ,,; s,/.*,,'"));
            Assert.DoesNotContain("exit-relay", await Host.Ok("top", "ours"), StringComparison.Ordinal);
            await Host.Ok("checkpoint", "create", "--leave-running", "ours", "second");
            await Host.Ok("stop", "ours");
            Assert.Equal("exited 7", await Host.Inspect("ours", "{{.State.Status}} {{.State.ExitCode}}"));
            await Host.Ok("start", "--checkpoint", "second", "ours");
            await Host.Ok("kill", "ours");
            Assert.Equal("137", await Host.Ok("wait", "ours"));
            await Host.Ok("start", "ours");
            await Host.Until(output => output.Split('\n').Count(line => line == "1") == 2, ["logs", "ours"]);
        }
        else
        {
            await IsTold("ours");
        }

        await Host.Ok("rm", "-f", "ours");
        await Host.Ok("volume", "rm", "ckp-volume");
        Assert.DoesNotContain("/foreign/", await File.ReadAllTextAsync("/proc/self/mountinfo", Cancellation), StringComparison.Ordinal);
    }

    /// <summary>A directory that somebody names decides about no path, option or program of the restore.</summary>
    [Theory]
    [InlineData("", "was not made by Slipway's own runtime")]
    [InlineData("{}", "the checkpoint's record is malformed")]
    [InlineData("""{"Streams":["pipe:[1]","pipe:[2]"],"Network":true}""", "the checkpoint's record is malformed")]
    [InlineData("""{"Streams":["../../etc/passwd",null,null],"Network":true}""", "the checkpoint's record is malformed")]
    [InlineData("""{"Streams":["pipe:[1]\n--action-script","pipe:[2]","pipe:[3]"],"Network":true}""", "the checkpoint's record is malformed")]
    [InlineData("""{"Streams":[null,null,null],"Network":true,"Mounts":["/"]}""", "the checkpoint's record is malformed")]
    [InlineData("""{"Streams":[null,null,null],"Network":false}""", "the checkpoint is one of a container with another network mode")]
    [InlineData("""{"Streams":["pipe:[1]","pipe:[2]","pipe:[3]"],"Network":true}""", "restore failed")]
    public async Task CVE_2026_53489_a_record_from_elsewhere_is_refused(string record, string reason)
    {
        var (name, folder) = ($"record{Math.Abs((record + reason).GetHashCode(StringComparison.Ordinal))}", Folder());
        await Host.Ok("create", "--name", name, "alpine", "true");
        Directory.CreateDirectory($"{folder}/evil");
        if (record.Length > 0)
        {
            await File.WriteAllTextAsync($"{folder}/evil/slipway.json", record, Cancellation);
        }

        await Refused(reason, "start", "--checkpoint-dir", folder, "--checkpoint", "evil", name);
        Assert.Equal("created", await Host.Inspect(name, "{{.State.Status}}"));
        Assert.Equal("0", await Host.Inspect(name, "{{.State.Pid}}"));
        await Host.Ok("rm", name);
    }

    /// <summary>Where our own engine finds it.</summary>
    private static string OwnCriu => File.Exists("/usr/local/sbin/criu") ? "/usr/local/sbin/criu" : "/usr/sbin/criu";

    private static async Task<bool> Fits(string criu) => (await Programs.Run(criu, ["check"])).ExitCode == 0;

    private async Task Count(string name, params string[] options)
    {
        await Host.Ok(["run", "-d", "--name", name, .. options, "alpine", "sh", "-c", "trap 'exit 7' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"]);
        await Host.Until(output => output.Contains("3\n", StringComparison.Ordinal), ["logs", name]);
    }

    private async Task GoesOn(string name)
    {
        await Host.Ok("checkpoint", "create", name, "one");
        Assert.Equal("exited", await Host.Inspect(name, "{{.State.Status}}"));
        var last = int.Parse((await Host.Ok("logs", "--tail", "1", name)).Trim(), CultureInfo.InvariantCulture);
        await Host.Ok("start", "--checkpoint", "one", name);
        await Host.Until(output => output.Contains($"{last + 3}\n", StringComparison.Ordinal), ["logs", name]);
        Assert.Equal(1, (await Host.Ok("logs", name)).Split('\n').Count(line => line == "1"));
    }

    private async Task IsTold(string name)
    {
        var made = await Host.Run("checkpoint", "create", name, "one");
        Assert.NotEqual(0, made.ExitCode);
        Assert.StartsWith($"Error response from daemon: Cannot checkpoint container {name}: ", made.Error, StringComparison.Ordinal);
        Assert.Equal("running", await Host.Inspect(name, "{{.State.Status}}"));
        Assert.Equal("CHECKPOINT NAME", await Host.Ok("checkpoint", "ls", name));
    }

    private async Task Start(string name, params string[] options)
    {
        await Host.Ok(["run", "-d", "--name", name, "--runtime", "marking", .. options, "alpine", "sh", "-c", Program]);
        await Host.Until(output => output.Trim() == "first", ["exec", name, "cat", "/state"]);
    }

    private async Task Refused(string reason, params string[] command)
    {
        var result = await Host.Run(command);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(reason, result.Error, StringComparison.Ordinal);
    }
}
