using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>What an image says of itself is shown, and never obeyed.</summary>
public sealed class ImageMetadataTests(SharedEngine engine) : EngineTest(engine)
{
    /// <summary>Labels with which other engines were steered (log programs, restart, devices, privileges) start nothing and change nothing.</summary>
    [Fact]
    public async Task CVE_2026_53488_labels_of_an_image_configure_nothing()
    {
        var marker = Path.Combine(Path.GetTempPath(), $"slipway-label-{Guid.NewGuid():N}");
        Cleanup(() => Task.Run(() => File.Delete(marker)));
        var (image, name) = (Image(), Container());
        Dictionary<string, string> labels = new()
        {
            ["containerd.io/restart.loguri"] = $"binary:///bin/touch?{marker}",
            ["containerd.io/restart.status"] = "running",
            ["io.containerd.runc.v2.log"] = $"binary:///bin/touch?{marker}",
            ["cdi.k8s.io/x"] = "vendor.com/device=all",
            ["io.podman.annotations.privileged"] = "TRUE",
            ["com.docker.network.bridge.name"] = "eth0",
            ["slipway.privileged"] = "true",
            ["io.slipway.cgroup-parent"] = "/",
        };
        string[] changes = [.. labels.SelectMany(label => new[] { "-c", $"LABEL \"{label.Key}\"=\"{label.Value}\"" })];
        using var program = new MemoryStream(Archive.Of(Archive.Text("hello", "no program")));
        (await Docker.RunWith(program, ["import", .. changes, "-c", "CMD [\"/hello\"]", "-", image])).Ok();

        await Docker.Ok("create", "--name", name, image);
        (await Docker.Run("start", name)).Exited(1);

        Assert.Equal(labels["io.containerd.runc.v2.log"], await Docker.Inspect(name, "{{index .Config.Labels \"io.containerd.runc.v2.log\"}}"));
        Assert.Equal("false||json-file|no|0", await Docker.Inspect(name,
            "{{.HostConfig.Privileged}}|{{.HostConfig.CgroupParent}}|{{.HostConfig.LogConfig.Type}}|{{.HostConfig.RestartPolicy.Name}}|{{len .HostConfig.Devices}}"));
        Assert.False(File.Exists(marker));
    }
}
