using System.Text.Json;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>An engine with devices that have hooks: programs of the host that are executed while a container is made.</summary>
public sealed class HookEngine : IAsyncLifetime
{
    /// <summary>Says what it finds into files, and changes the container's files as generators' hooks do.</summary>
    private const string Recorder =
        """
        #!/bin/sh
        state=$(cat)
        bundle=$(echo "$state" | sed -n 's/.*"bundle":"\([^"]*\)".*/\1/p')
        echo "$1" >> FOLDER/order
        echo "$state" > "FOLDER/$1.state"
        tr '\0' '\n' < /proc/$$/environ > "FOLDER/$1.environment"
        readlink /proc/$$/cwd > "FOLDER/$1.directory"
        [ "$(readlink /proc/$$/ns/mnt)" = "$(readlink /proc/$PPID/ns/mnt)" ] && echo host > "FOLDER/$1.mounts" || echo container > "FOLDER/$1.mounts"
        grep -c made-by-hook "$bundle/config.json" > "FOLDER/$1.config"
        [ "$1" = createContainer ] || exit 0
        set -e
        echo made > "$bundle/rootfs/etc/made-by-hook"
        ln -s made-by-hook "$bundle/rootfs/etc/linked-by-hook"
        mount -t tmpfs none "$bundle/rootfs/mnt"
        echo mounted > "$bundle/rootfs/mnt/by-hook"
        """;

    public HookEngine() => Engine = new Engine("hook") { Flags = ["--cdi-spec-dir", Specifications] };

    public string Folder { get; } = Directory.CreateTempSubdirectory("slipway-hook-").FullName;

    public Engine Engine { get; }

    private string Specifications => Path.Combine(Folder, "specifications");

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Specifications);
        var recorder = Path.Combine(Folder, "recorder");
        await File.WriteAllTextAsync(recorder, Recorder.Replace("FOLDER", Folder, StringComparison.Ordinal) + "\n");
        File.SetUnixFileMode(recorder, (UnixFileMode)0x1ED);
        await Describe("records", Hook("createContainer", recorder, ["recorder", "createContainer"], ["HOOK=yes"]), Hook("createRuntime", recorder, ["recorder", "createRuntime"]), Hook("prestart", recorder, ["recorder", "prestart"]));
        await Describe("fails", Hook("createContainer", "/bin/sh", ["sh", "-c", "echo tried; echo no such card >&2; exit 3"]));
        await Describe("hangs", Hook("createRuntime", "/bin/sh", ["sh", "-c", $"sleep 7{Environment.ProcessId}1 & sleep 7{Environment.ProcessId}1"], timeout: 1));
        await Describe("waits", Hook("createContainer", "/bin/sh", ["sh", "-c", $"touch {Folder}/waiting; exec sleep 7{Environment.ProcessId}2"]));
        await Describe("missing", Hook("createContainer", "/nosuch/hook", ["hook"]));
        await Describe("inside", Hook("startContainer", "/bin/true", ["true"]));
        await Describe("later", Hook("poststop", "/bin/true", ["true"]));
        await Describe("open", Hook("createContainer", "/bin/true", ["true"]));
        File.SetUnixFileMode(Path.Combine(Specifications, "open.json"), (UnixFileMode)0x1B6);
        await Engine.Start();
        await AlpineImage.Import(Engine.Docker);
    }

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    public string Read(string file) => File.ReadAllText(Path.Combine(Folder, file)).TrimEnd();

    private Task Describe(string name, params string[] hooks) => File.WriteAllTextAsync(
        Path.Combine(Specifications, $"{name}.json"),
        $$"""{"cdiVersion": "0.6.0", "kind": "vendor.com/hooked", "devices": [{"name": "{{name}}", "containerEdits": {"hooks": [{{string.Join(',', hooks)}}] } }] }""");

    private static string Hook(string moment, string path, string[] arguments, string[]? environment = null, int timeout = 0) =>
        $$"""{"hookName": "{{moment}}", "path": "{{path}}", "args": [{{Quoted(arguments)}}], "env": [{{Quoted(environment ?? [])}}], "timeout": {{timeout}}}""";

    private static string Quoted(string[] words) => string.Join(", ", words.Select(word => $"\"{word}\""));
}

/// <summary>Hooks of devices, with our own runtime.</summary>
public sealed class CdiHookTests(SharedEngine shared, HookEngine hooks) : EngineTest(shared), IClassFixture<HookEngine>
{
    private Docker Host => hooks.Engine.Docker;

    /// <summary>One image variable names a library that would be loaded, one directory has a program of a hook's name: neither reaches a hook.</summary>
    [Fact]
    public async Task CVE_2025_23266_hooks_see_the_container_and_get_nothing_from_it()
    {
        var (image, base_) = (Image("planted"), Container("base"));
        Cleanup(() => Host.Run("rm", "-f", base_));
        await Host.Ok("run", "--name", base_, "alpine", "sh", "-c", "mkdir -p /w/bin /tmp; printf '#!/bin/sh\\ntouch /planted' > /w/bin/mount; chmod 755 /w/bin/mount; cp /w/bin/mount /w/mount");
        await Host.Ok("commit", "-c", "ENV LD_PRELOAD=/proc/self/cwd/planted.so PATH=/w/bin:/bin:/usr/bin", "-c", "WORKDIR /w", base_, image);
        var name = Container();
        Cleanup(() => Host.Run("rm", "-f", name));
        File.Delete(Path.Combine(hooks.Folder, "order"));
        Assert.Equal(
            "made\nmade\nmounted\nread-only",
            await Host.Ok("run", "--name", name, "-e", "ENV=/w/bin/mount", "--read-only", "--device", "vendor.com/hooked=records", image, "/bin/sh", "-c", "unset LD_PRELOAD; cat /etc/made-by-hook /etc/linked-by-hook /mnt/by-hook; touch /x 2> /dev/null || echo read-only"));

        Assert.Equal("prestart\ncreateRuntime\ncreateContainer", hooks.Read("order"));
        Assert.Equal("HOOK=yes", hooks.Read("createContainer.environment"));
        Assert.Equal("", hooks.Read("createRuntime.environment"));
        Assert.Equal(["/", "/"], new[] { "createRuntime", "createContainer" }.Select(moment => hooks.Read($"{moment}.directory")));
        Assert.Equal(["host", "container"], new[] { "createRuntime", "createContainer" }.Select(moment => hooks.Read($"{moment}.mounts")));
        Assert.Equal("1", hooks.Read("createContainer.config"));

        using var state = JsonDocument.Parse(hooks.Read("createContainer.state"));
        Assert.Equal(await Host.Inspect(name, "{{.Id}}"), state.RootElement.GetProperty("id").GetString());
        Assert.Equal("creating", state.RootElement.GetProperty("status").GetString());
        Assert.True(state.RootElement.GetProperty("pid").GetInt32() > 1);
        Assert.StartsWith("1.", state.RootElement.GetProperty("ociVersion").GetString(), StringComparison.Ordinal);

        // The container's program saw no tree of the host, and the host no mount of the hook.
        Assert.DoesNotContain("planted", await Host.Ok("diff", name), StringComparison.Ordinal);
        Assert.DoesNotContain(hooks.Engine.ExecRoot + "/foreign", await File.ReadAllTextAsync("/proc/self/mountinfo", Cancellation), StringComparison.Ordinal);
        Assert.Empty(Bundles());
        await Host.Ok("rm", name);
        await Host.Ok("rm", base_);
        await Host.Ok("rmi", image);
    }

    [Fact]
    public async Task The_program_runs_with_the_old_root_gone()
    {
        Assert.Equal("/ 1", await Host.Ok("run", "--rm", "--device", "vendor.com/hooked=records", "alpine", "sh", "-c", "echo $(pwd) $(grep -c ' / / ' /proc/self/mountinfo)"));
        Assert.Equal("0", await Host.Ok("run", "--rm", "--device", "vendor.com/hooked=records", "alpine", "sh", "-c", "grep -c foreign /proc/self/mountinfo || true"));
    }

    [Theory]
    [InlineData("fails", "error running createContainer hook #0: exit status 3, stdout: tried, stderr: no such card")]
    [InlineData("hangs", "error running createRuntime hook #0: /bin/sh did not end within 1 s")]
    [InlineData("missing", "error running createContainer hook #0: execve \"/nosuch/hook\": no such file or directory")]
    public async Task A_hook_that_fails_is_told_and_leaves_nothing(string device, string message)
    {
        var name = Container(device);
        Cleanup(() => Host.Run("rm", "-f", name));
        var failed = await Host.Run("run", "--name", name, "--device", $"vendor.com/hooked={device}", "alpine", "true");
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Contains(message, failed.Error, StringComparison.Ordinal);
        Assert.Equal("false 128", await Host.Inspect(name, "{{.State.Running}} {{.State.ExitCode}}"));
        Assert.Empty(Bundles());
        Assert.Empty(Sleeping("1"));
        var id = await Host.Inspect(name, "{{.Id}}");
        Assert.DoesNotContain(id, (await Programs.Run("find", ["/sys/fs/cgroup", "-maxdepth", "4", "-type", "d"])).Output, StringComparison.Ordinal);
        await Host.Ok("rm", name);
    }

    [Fact]
    public async Task An_engine_that_is_killed_meanwhile_leaves_neither_hook_nor_process()
    {
        await Host.Ok("create", "--name", "waits", "--device", "vendor.com/hooked=waits", "alpine", "true");
        var starting = Host.Run("start", "waits");
        while (!File.Exists(Path.Combine(hooks.Folder, "waiting")) && !starting.IsCompleted)
        {
            await Task.Delay(20, Cancellation);
        }

        await hooks.Engine.Kill();
        await starting;
        await hooks.Engine.Start();
        Assert.Equal("false", await Host.Inspect("waits", "{{.State.Running}}"));
        await Until(() => Sleeping("2").Length == 0, "the hook still runs");
        await Until(() => Bundles().Length == 0, "its bundle is there");
        await Host.Ok("rm", "waits");
    }

    [Theory]
    [InlineData("inside", "the startContainer hook /bin/true needs a runtime of the host")]
    [InlineData("later", "the poststop hook /bin/true needs a runtime of the host")]
    [InlineData("open", "it has hooks, and others than root may write it")]
    public async Task What_is_not_executed_is_refused_by_name(string device, string message)
    {
        var refused = await Host.Run("run", "--rm", "--device", $"vendor.com/hooked={device}", "alpine", "true");
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains(message, refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_plan_shows_where_it_waits()
    {
        var id = await Host.Ok("create", "--device", "vendor.com/hooked=fails", "alpine", "true");
        var plan = (await Programs.Run(Repository.Executable!, ["-H", $"unix://{Host.Socket}", "explain", id])).Ok().Output;
        Assert.InRange(plan.IndexOf("hooks have run", StringComparison.Ordinal), 0, plan.IndexOf("pivot_root", StringComparison.Ordinal));
        await Host.Ok("rm", id);
    }

    private string[] Bundles() => Directory.Exists($"{hooks.Engine.ExecRoot}/foreign") ? Directory.GetDirectories($"{hooks.Engine.ExecRoot}/foreign") : [];

    /// <summary>Processes of hooks, by the number of seconds that only they sleep.</summary>
    private static string[] Sleeping(string kind) =>
        [.. from folder in Directory.EnumerateDirectories("/proc") where Path.GetFileName(folder).All(char.IsAsciiDigit) let line = CommandLine(folder) where line == $"sleep\07{Environment.ProcessId}{kind}\0" select folder];

    private static string CommandLine(string folder)
    {
        try
        {
            return File.ReadAllText($"{folder}/cmdline");
        }
        catch (IOException)
        {
            return ""; // It has ended meanwhile.
        }
    }

    private static async Task Until(Func<bool> condition, string otherwise)
    {
        for (var clock = System.Diagnostics.Stopwatch.StartNew(); !condition();)
        {
            Assert.True(clock.Elapsed < Programs.Limit(20), otherwise);
            await Task.Delay(20, Cancellation);
        }
    }
}
