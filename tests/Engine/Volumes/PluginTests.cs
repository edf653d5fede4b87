using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Slipway.Api.Containers;
using Slipway.Api.Volumes;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Volumes;
using Slipway.Tests.Engine.Containers;
using Slipway.Tests.Harness;
using Xunit;

namespace Slipway.Tests.Engine.Volumes;

/// <summary>Volumes of other programs: Docker's plugin protocol.</summary>
public sealed class PluginTests(EngineFixture fixture) : IClassFixture<EngineFixture>, IDisposable
{
    private readonly string _name = "plug" + Guid.NewGuid().ToString("N")[..6];
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("slipway-plugin-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IVolumes Volumes => fixture.Engine.Volumes;

    public void Dispose() => _root.Delete(recursive: true);

    private FakePlugin Start()
    {
        Directory.CreateDirectory(fixture.Options.Plugins.Sockets);
        return new FakePlugin($"{fixture.Options.Plugins.Sockets}/{_name}.sock", _root.FullName);
    }

    [Fact]
    public async Task A_plugin_makes_mounts_unmounts_and_removes_a_volume()
    {
        await using FakePlugin plugin = Start();
        Api.Disk.Volume made = await Volumes.CreateAsync(new VolumeCreateRequest { Name = "pv", Driver = _name, DriverOpts = new() { ["color"] = "blue" } }, Cancellation);
        Assert.Equal((_name, $"{_root}/pv", "global", "blue"), (made.Driver, made.Mountpoint, made.Scope, made.Options!["color"]));
        string container = await fixture.CreateAsync(With("echo written > /v/f"));
        await fixture.Engine.Containers.StartAsync(container, Cancellation);
        Assert.Equal(0, await fixture.WaitAsync(container));
        Assert.Equal("written\n", await File.ReadAllTextAsync($"{_root}/pv/f", Cancellation));
        Assert.Equal(_name, fixture.Inspect(container).Mounts.Single().Driver);
        await fixture.Engine.Containers.RemoveAsync(container, new ContainerRemoveOptions(), Cancellation);
        await Volumes.RemoveAsync("pv", force: false, Cancellation);
        Assert.False(Directory.Exists($"{_root}/pv"));

        // Once for what the image might have at the place, once for the run.
        Assert.Equal(
            [
                "Plugin.Activate", "VolumeDriver.Capabilities", "VolumeDriver.Create pv blue", "VolumeDriver.Get pv",
                $"VolumeDriver.Mount pv {container}", $"VolumeDriver.Unmount pv {container}", $"VolumeDriver.Mount pv {container}", $"VolumeDriver.Unmount pv {container}",
                "VolumeDriver.Remove pv",
            ],
            plugin.Calls);
    }

    [Fact]
    public async Task It_may_be_spoken_to_by_TLS()
    {
        string folder = fixture.Options.Plugins.Sockets;
        Directory.CreateDirectory(folder);
        using X509Certificate2 authority = TestCertificates.Authority("plugins");
        TestCertificates.Write(_root.FullName, "ca", authority);
        TestCertificates.Issue(_root.FullName, "server", authority, server: true);
        await using FakePlugin plugin = new($"{_root}/real.sock", _root.FullName);
        await using PluginRelay relay = new($"{_root}/real.sock", $"{_root}/server");
        await File.WriteAllTextAsync($"{folder}/{_name}.json", $$$"""{"Addr":"https://127.0.0.1:{{{relay.Port}}}","TLSConfig":{"CAFile":"{{{_root}}}/ca.pem"}}""", Cancellation);
        Assert.Equal($"{_root}/pt", (await Volumes.CreateAsync(new VolumeCreateRequest { Name = "pt", Driver = _name }, Cancellation)).Mountpoint);
        string container = await fixture.CreateAsync(With("echo remote > /v/f", "pt"));
        await fixture.Engine.Containers.StartAsync(container, Cancellation);
        Assert.Equal(0, await fixture.WaitAsync(container));
        Assert.Equal("remote\n", await File.ReadAllTextAsync($"{_root}/pt/f", Cancellation));
        await fixture.Engine.Containers.RemoveAsync(container, new ContainerRemoveOptions(), Cancellation);
        await Volumes.RemoveAsync("pt", force: false, Cancellation);
        File.Delete($"{folder}/{_name}.json");
    }

    [Fact]
    public async Task Its_errors_are_told_and_leave_nothing()
    {
        await using FakePlugin plugin = Start();
        plugin.Failures["VolumeDriver.Create"] = "no room";
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.CreateAsync(new VolumeCreateRequest { Name = "pw", Driver = _name }, Cancellation));
        Assert.Equal("create pw: VolumeDriver.Create: no room", refused.Message);
        Assert.Throws<EngineException>(() => Volumes.Inspect("pw"));
        plugin.Failures.Clear();
        await Volumes.CreateAsync(new VolumeCreateRequest { Name = "pw", Driver = _name }, Cancellation);
        refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.CreateAsync(new VolumeCreateRequest { Name = "pw", Driver = "local" }, Cancellation));
        Assert.Equal(ErrorKind.Conflict, refused.Kind);

        string container = await fixture.CreateAsync(With("true", "pw"));
        plugin.Failures["VolumeDriver.Mount"] = "server away";
        refused = await Assert.ThrowsAsync<EngineException>(() => fixture.Engine.Containers.StartAsync(container, Cancellation));
        Assert.Equal("error while mounting volume 'pw': VolumeDriver.Mount: server away", refused.Message);
        plugin.Failures.Clear();
        plugin.Mountpoint = "relative/path";
        refused = await Assert.ThrowsAsync<EngineException>(() => fixture.Engine.Containers.StartAsync(container, Cancellation));
        Assert.Contains("gave no absolute path", refused.Message, StringComparison.Ordinal);
        await fixture.Engine.Containers.RemoveAsync(container, new ContainerRemoveOptions(), Cancellation);

        plugin.Failures["VolumeDriver.Remove"] = "still needed";
        refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.RemoveAsync("pw", force: false, Cancellation));
        Assert.Equal("remove pw: VolumeDriver.Remove: still needed", refused.Message);
        await Volumes.RemoveAsync("pw", force: true, Cancellation);
        Assert.Throws<EngineException>(() => Volumes.Inspect("pw"));
    }

    [Fact]
    public async Task What_is_no_driver_of_volumes_is_none()
    {
        await using FakePlugin plugin = Start();
        plugin.Implements = "NetworkDriver";
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.CreateAsync(new VolumeCreateRequest { Name = "px", Driver = _name }, Cancellation));
        Assert.Equal((ErrorKind.NotFound, $"create px: error looking up volume plugin {_name}: plugin \"{_name}\" not found"), (refused.Kind, refused.Message));
        plugin.Garbage = "<html>";
        refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.CreateAsync(new VolumeCreateRequest { Name = "px", Driver = _name }, Cancellation));
        Assert.Equal((ErrorKind.System, "Plugin.Activate: unexpected answer, status 200"), (refused.Kind, refused.Message));
        foreach (string path in new[] { "../" + _name, "/etc", "..", "a/b", "with\0nul" })
        {
            refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.CreateAsync(new VolumeCreateRequest { Name = "px", Driver = path }, Cancellation));
            Assert.Equal(ErrorKind.NotFound, refused.Kind);
        }
    }

    [Fact]
    public async Task A_plugin_that_ended_is_told_and_its_volumes_can_be_removed_by_force()
    {
        await using (FakePlugin plugin = Start())
        {
            await Volumes.CreateAsync(new VolumeCreateRequest { Name = "py", Driver = _name }, Cancellation);
        }

        EngineException refused;
        using (Socket stale = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // There, but nobody listens.
            stale.Bind(new UnixDomainSocketEndPoint($"{fixture.Options.Plugins.Sockets}/{_name}.sock"));
            refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.RemoveAsync("py", force: false, Cancellation));
            Assert.StartsWith("remove py: VolumeDriver.Remove: Connection refused", refused.Message, StringComparison.Ordinal);
        }

        refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.RemoveAsync("py", force: false, Cancellation));
        Assert.Equal($"remove py: error looking up volume plugin {_name}: plugin \"{_name}\" not found", refused.Message);
        await Volumes.RemoveAsync("py", force: true, Cancellation);
    }

    private static ContainerCreateRequest With(string script, string volume = "pv")
    {
        ContainerCreateRequest request = EngineFixture.Request("sh", "-c", script);
        request.HostConfig!.Binds = [$"{volume}:/v"];
        return request;
    }
}
