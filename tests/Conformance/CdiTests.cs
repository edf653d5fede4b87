using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>An engine that finds device specifications in folders of its own.</summary>
public sealed class CdiEngine : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("slipway-cdi-").FullName;

    public CdiEngine() => Engine = new Engine("cdi") { Flags = ["--cdi-spec-dir", First, "--cdi-spec-dir", Second, "--add-runtime", "host-runc=runc"] };

    public Engine Engine { get; }

    public string First => Path.Combine(_folder, "first");

    public string Second => Path.Combine(_folder, "second");

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(First);
        Directory.CreateDirectory(Second);
        await File.WriteAllTextAsync(Path.Combine(_folder, "library"), "library\n");
        await File.WriteAllTextAsync(
            Path.Combine(First, "gpu.yaml"),
            $"""
            ---
            # as generators write it
            cdiVersion: 0.5.0
            kind: nvidia.com/gpu
            devices:
            - name: "0"
              containerEdits:
                deviceNodes:
                  - path: /dev/nvidia0
                    hostPath: /dev/loop-control
                    permissions: r
                    fileMode: 0600
                    gid: 0
            - name: all
              containerEdits:
                deviceNodes:
                - path: /dev/nvidia0
                  hostPath: /dev/zero
                - path: /dev/nvidia1
                  type: c
                  major: 1
                  minor: 7
                  fileMode: 0640
                  gid: 44
            containerEdits:
              env:
              - NVIDIA_VISIBLE_DEVICES=void
              - 'CDI_NOTE=kept # not a comment'
              additionalGids: [44, 45]
              mounts:
              - hostPath: {_folder}/library
                containerPath: /usr/lib/libcuda.so.1
                options: [ro, nosuid, nodev, bind]
            """);
        await File.WriteAllTextAsync(Path.Combine(First, "vendor.json"), """{"cdiVersion": "0.6.0", "kind": "vendor.com/net", "devices": [{"name": "card", "containerEdits": {"env": ["FROM=first"]}}, {"name": "other", "containerEdits": {"env": ["A=b"]}}]}""");
        await File.WriteAllTextAsync(Path.Combine(Second, "vendor.json"), """{"cdiVersion": "0.6.0", "kind": "vendor.com/net", "devices": [{"name": "card", "containerEdits": {"env": ["FROM=second"]}}]}""");
        await File.WriteAllTextAsync(Path.Combine(First, "hooked.json"), """{"cdiVersion": "0.6.0", "kind": "vendor.com/hooked", "devices": [{"name": "x", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/sh", "args": ["sh", "-c", "echo hooked > """ + _folder + """/hook"]}]}}]}""");
        await File.WriteAllTextAsync(Path.Combine(First, "twice-a.json"), """{"cdiVersion": "0.6.0", "kind": "vendor.com/twice", "devices": [{"name": "x"}]}""");
        await File.WriteAllTextAsync(Path.Combine(First, "twice-b.json"), """{"cdiVersion": "0.6.0", "kind": "vendor.com/twice", "devices": [{"name": "x"}]}""");
        await File.WriteAllTextAsync(Path.Combine(First, "gone.json"), """{"cdiVersion": "0.6.0", "kind": "vendor.com/gone", "devices": [{"name": "x", "containerEdits": {"deviceNodes": [{"path": "/dev/nosuch"}]}}]}""");
        await File.WriteAllTextAsync(Path.Combine(First, "proc.json"), """{"cdiVersion": "0.6.0", "kind": "vendor.com/proc", "devices": [{"name": "x", "containerEdits": {"mounts": [{"hostPath": "/etc/hostname", "containerPath": "/proc/self/attr/current"}]}}]}""");

        // What must stop nobody: a file that is too large, one that would be read for ever, one that is no document.
        await using (var large = File.Create(Path.Combine(First, "large.json")))
        {
            large.SetLength(2L << 30);
        }

        File.CreateSymbolicLink(Path.Combine(First, "endless.json"), "/dev/zero");
        (await Programs.Run("mkfifo", [Path.Combine(First, "fifo.json")])).Ok();
        await File.WriteAllTextAsync(Path.Combine(First, "broken.yaml"), "cdiVersion: 0.5.0\nkind: &a vendor.com/broken\ndevices: *a\n");
        await Engine.Start();
        await AlpineImage.Import(Engine.Docker);
    }

    public bool HasHookRun => File.Exists(Path.Combine(_folder, "hook"));

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>Devices by the Container Device Interface: `--device vendor.com/class=name` and `--gpus`.</summary>
public sealed class CdiTests(SharedEngine shared, CdiEngine cdi) : EngineTest(shared), IClassFixture<CdiEngine>
{
    private const string Look = "ls -l /dev/nvidia* | awk '{print $1, $4, $5, $6, $NF}'; cat /usr/lib/libcuda.so.1; touch /usr/lib/libcuda.so.1 2>/dev/null || echo read-only; echo $NVIDIA_VISIBLE_DEVICES; id -G | tr ' ' '\\n' | grep -c -E '^4[45]$'; env | grep ^CDI_NOTE";

    private Docker Host => cdi.Engine.Docker;

    [Fact]
    [RunOption("--gpus", "--device")]
    public async Task A_container_gets_what_the_specification_of_its_devices_says()
    {
        const string Common = "library\nread-only\nvoid\n2\nCDI_NOTE=kept # not a comment";
        Assert.Equal($"crw------- root 10, 237 /dev/nvidia0\n{Common}", await Host.Ok("run", "--rm", "--device", "nvidia.com/gpu=0", "alpine", "/bin/sh", "-c", Look));
        const string All = $"crw-rw-rw- root 1, 5 /dev/nvidia0\ncrw-r----- 44 1, 7 /dev/nvidia1\n{Common}";
        foreach (var gpus in new[] { "all", "device=all", "driver=nvidia,count=-1" })
        {
            Assert.Equal(All, (await Host.Ok("run", "--rm", "--gpus", gpus, "alpine", "/bin/sh", "-c", Look)).Replace(" video ", " 44 ", StringComparison.Ordinal));
        }

        Assert.StartsWith("crw------- root 10, 237 /dev/nvidia0\nlibrary", await Host.Ok("run", "--rm", "--gpus", "1", "alpine", "/bin/sh", "-c", Look), StringComparison.Ordinal);

        // What the group of devices lets it do.
        Assert.Equal("read", await Host.Ok("run", "--rm", "--gpus", "device=0", "alpine", "/bin/sh", "-c", "(: < /dev/nvidia0) && echo read; (: > /dev/nvidia0) 2>/dev/null && echo written || true"));
    }

    [Fact]
    public async Task A_later_directory_goes_before()
    {
        Assert.Equal("second", await Host.Ok("run", "--rm", "--device", "vendor.com/net=card", "alpine", "sh", "-c", "echo $FROM$A"));
        Assert.Equal("secondb", await Host.Ok("run", "--rm", "--device", "vendor.com/net=card", "--device", "vendor.com/net=other", "alpine", "sh", "-c", "echo $FROM$A"));
    }

    [Fact]
    public async Task Info_lists_directories_and_devices()
    {
        Assert.Equal($"[{cdi.First} {cdi.Second}]", await Host.Ok("info", "-f", "{{.CDISpecDirs}}"));
        var info = (await Programs.Run("curl", ["-s", "--unix-socket", Host.Socket, "http://x/v1.50/info"])).Ok().Output;
        Assert.Contains("""{"Source":"cdi","ID":"nvidia.com/gpu=all"}""", info, StringComparison.Ordinal);
        Assert.DoesNotContain("vendor.com/twice", info, StringComparison.Ordinal);
        Assert.DoesNotContain("vendor.com/broken", info, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CDI device injection failed: unresolvable CDI devices vendor.com/net=nosuch", "--device", "vendor.com/net=nosuch")]
    [InlineData("unresolvable CDI devices vendor.com/twice=x", "--device", "vendor.com/twice=x")]
    [InlineData("unresolvable CDI devices vendor.com/broken=x", "--device", "vendor.com/broken=x")]
    [InlineData("unresolvable CDI devices nvidia.com/gpu=7", "--gpus", "device=7")]
    [InlineData("unresolvable CDI devices nvidia.com/gpu=1", "--gpus", "2")]
    [InlineData("failed to stat CDI host device \"/dev/nosuch\"", "--device", "vendor.com/gone=x")]
    [InlineData("inside /proc", "--device", "vendor.com/proc=x")]
    [InlineData("could not select device driver \"amd\" with capabilities: [[gpu]]", "--gpus", "driver=amd")]
    public async Task What_cannot_be_given_is_refused_by_name(string expected, params string[] options)
    {
        var refused = await Host.Run(["run", "--rm", .. options, "alpine", "true"]);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains(expected, refused.Error, StringComparison.Ordinal);
    }

    /// <summary>Annotations and labels in which other engines find devices: a request, an image and a commit that have them get none.</summary>
    [Fact]
    public async Task CVE_2026_53492_devices_are_asked_for_by_options_and_smuggled_in_by_nothing()
    {
        string[] keys = ["cdi.k8s.io/vendor_net", "cdi.k8s.io/x", "io.containerd.cdi.devices", "io.podman.annotations.cdi", "run.oci.cdi"];
        var image = Image();
        var plain = await Host.Ok("create", "alpine", "ls", "/dev");
        await Host.Ok(["commit", .. keys.SelectMany(key => new[] { "-c", $"LABEL \"{key}\"=\"nvidia.com/gpu=all\"" }), plain, image]);
        var labelled = await Host.Ok("create", image);
        Assert.Equal("[] []", await Host.Inspect(labelled, "{{.HostConfig.Devices}} {{.HostConfig.DeviceRequests}}"));
        var plan = (await Programs.Run(Repository.Executable!, ["-H", $"unix://{Host.Socket}", "explain", labelled])).Ok().Output;
        Assert.Contains("execve", plan, StringComparison.Ordinal);
        Assert.DoesNotContain("nvidia", plan, StringComparison.Ordinal);
        await Host.Ok("rm", labelled, plain);
        await Host.Ok("rmi", image);

        string[] smuggled = [.. keys.SelectMany(key => new[] { "--annotation", $"{key}=nvidia.com/gpu=all", "--label", $"{key}=nvidia.com/gpu=all" })];
        foreach (var runtime in File.Exists("/usr/sbin/runc") ? new[] { "runc", "host-runc" } : ["runc"])
        {
            Assert.Equal("none", await Host.Ok(["run", "--rm", "--runtime", runtime, .. smuggled, "-e", "CDI=nvidia.com/gpu=all", "alpine", "/bin/sh", "-c", "ls /dev/nvidia0 2> /dev/null || echo ${NVIDIA_VISIBLE_DEVICES:-none}"]));
        }
    }

    /// <summary>The image has a link where the specification mounts: it leads inside the container.</summary>
    [Fact]
    public async Task A_link_of_the_image_leads_a_mount_of_a_specification_nowhere_else()
    {
        var outside = Folder();
        var (image, base_) = (Image("linked"), Container("base"));
        Cleanup(() => Host.Run("rm", "-f", base_));
        await Host.Ok("run", "--name", base_, "alpine", "sh", "-c", $"mkdir -p /usr/lib && ln -s {outside}/planted /usr/lib/libcuda.so.1");
        await Host.Ok("commit", base_, image);
        Assert.Equal("library", await Host.Ok("run", "--rm", "--device", "nvidia.com/gpu=0", image, "/bin/sh", "-c", $"cat {outside}/planted"));
        Assert.Empty(Directory.GetFileSystemEntries(outside));
        await Host.Ok("rm", base_);
        await Host.Ok("rmi", image);
    }

    [Fact]
    public async Task A_runtime_of_the_host_executes_hooks()
    {
        Requirement.Check(File.Exists("/usr/sbin/runc"), "needs runc: apt-get install runc");
        await Host.Ok("run", "--rm", "--runtime", "host-runc", "--device", "vendor.com/hooked=x", "--device", "nvidia.com/gpu=0", "alpine", "/bin/sh", "-c", "test -c /dev/nvidia0");
        Assert.True(cdi.HasHookRun);
    }

    [Fact]
    public async Task Switched_off_there_is_no_such_driver()
    {
        var file = Path.Combine(Folder(), "daemon.json");
        await File.WriteAllTextAsync(file, """{"features": {"cdi": false} }""", Cancellation);
        await using var engine = new Engine("nocdi") { Flags = ["--config-file", file] };
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        Assert.Equal("[]", await engine.Docker.Ok("info", "-f", "{{.CDISpecDirs}}"));
        Assert.Contains("could not select device driver \"cdi\" with capabilities: []", (await engine.Docker.Run("run", "--rm", "--device", "vendor.com/net=card", "alpine", "true")).Error, StringComparison.Ordinal);
    }
}
