using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

public sealed class ImageDefaultsTests
{
    private static readonly ImageRunConfig Image = new()
    {
        Entrypoint = ["/entry"],
        Cmd = ["image", "command"],
        Env = ["PATH=/image", "A=image"],
        User = "nobody",
        WorkingDir = "/work",
        Labels = new Dictionary<string, string> { ["a"] = "image", ["b"] = "image" },
        ExposedPorts = new Dictionary<string, Slipway.Oci.EmptyObject> { ["80/tcp"] = new() },
        StopSignal = "SIGQUIT",
    };

    [Fact]
    public void An_empty_request_takes_all_of_the_image()
    {
        ContainerConfig merged = ImageDefaults.Merge(new ContainerConfig { Image = "x" }, Image);
        Assert.Equal(["/entry"], merged.Entrypoint);
        Assert.Equal(["image", "command"], merged.Cmd);
        Assert.Equal(("nobody", "/work", "SIGQUIT"), (merged.User, merged.WorkingDir, merged.StopSignal));
        Assert.Equal(["PATH=/image", "A=image"], merged.Env);
        Assert.Equal(["80/tcp"], merged.ExposedPorts!.Keys);
    }

    [Fact]
    public void A_command_keeps_the_entrypoint_and_an_entrypoint_drops_the_command()
    {
        ContainerConfig command = ImageDefaults.Merge(new ContainerConfig { Cmd = ["mine"] }, Image);
        Assert.Equal(["/entry"], command.Entrypoint);
        Assert.Equal(["mine"], command.Cmd);
        ContainerConfig entrypoint = ImageDefaults.Merge(new ContainerConfig { Entrypoint = ["/mine"] }, Image);
        Assert.Equal(["/mine"], entrypoint.Entrypoint);
        Assert.Null(entrypoint.Cmd);
    }

    [Fact]
    public void An_empty_entrypoint_removes_the_images()
    {
        Assert.Null(ImageDefaults.Merge(new ContainerConfig { Entrypoint = [""], Cmd = ["sh"] }, Image).Entrypoint);
        Assert.Equal("no command specified", Assert.Throws<EngineException>(() => ImageDefaults.Merge(new ContainerConfig { Entrypoint = [""] }, Image)).Message);
        Assert.Equal("no command specified", Assert.Throws<EngineException>(() => ImageDefaults.Merge(new ContainerConfig(), null)).Message);
    }

    [Fact]
    public void Variables_labels_and_ports_are_united_and_the_request_wins()
    {
        ContainerConfig merged = ImageDefaults.Merge(
            new ContainerConfig
            {
                Env = ["A=mine", "C=3"],
                Labels = new Dictionary<string, string> { ["a"] = "mine" },
                ExposedPorts = new Dictionary<string, Slipway.Api.Containers.EmptyObject> { ["443/tcp"] = new() },
            },
            Image);
        Assert.Equal(["A=mine", "C=3", "PATH=/image"], merged.Env);
        Assert.Equal([("a", "mine"), ("b", "image")], merged.Labels!.OrderBy(pair => pair.Key).Select(pair => (pair.Key, pair.Value)));
        Assert.Equal(["443/tcp", "80/tcp"], merged.ExposedPorts!.Keys.Order());
    }

    [Fact]
    public void The_environment_of_a_process()
    {
        ContainerConfig config = new() { Hostname = "h", Env = ["PATH=/bin", "A=1", "GONE"] };
        Assert.Equal(["PATH=/bin", "HOSTNAME=h", "A=1", "HOME=/root"], SpecBuilder.Environment(config, terminal: false, "/root", []));
        Assert.Equal(
            ["PATH=/bin", "HOSTNAME=h", "TERM=xterm", "A=2", "HOME=/h"],
            SpecBuilder.Environment(config, terminal: true, "/root", [], ["A=2", "HOME=/h"]));
        Assert.Equal(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"], SpecBuilder.Environment(new ContainerConfig { Env = ["HOSTNAME"] }, false, "/", []));
    }
}
