using Slipway.Api.Containers;
using Slipway.Api.Volumes;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Volumes;
using Slipway.Storage;
using Slipway.Storage.Volumes;
using Slipway.Tests.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Volumes;

/// <summary>Volumes of an engine that ends and comes again.</summary>
public sealed class VolumeRecoveryTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IVolumes Volumes => fixture.Engine.Volumes;

    [Fact]
    public async Task Metadata_and_users_are_known_to_the_next_engine()
    {
        await Volumes.CreateAsync(new VolumeCreateRequest { Name = "kept", Labels = new() { ["a"] = "b" }, DriverOpts = new() { ["type"] = "tmpfs", ["device"] = "tmpfs" } }, Cancellation);
        string container = await fixture.CreateAsync(With("kept:/v"));
        Api.Disk.Volume before = Volumes.Inspect("kept");
        await fixture.RestartAsync();
        Api.Disk.Volume after = Volumes.Inspect("kept");
        Assert.Equal((before.CreatedAt, "b", "tmpfs"), (after.CreatedAt, after.Labels!["a"], after.Options!["type"]));
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => Volumes.RemoveAsync("kept", force: true, Cancellation));
        Assert.Equal((ErrorKind.Conflict, $"remove kept: volume is in use - [{container}]"), (refused.Kind, refused.Message));
        await fixture.Engine.Containers.RemoveAsync(container, new ContainerRemoveOptions(), Cancellation);
        await Volumes.RemoveAsync("kept", force: false, Cancellation);
    }

    [Fact]
    public async Task What_running_containers_have_mounted_stays_mounted_and_goes_with_the_last()
    {
        await Volumes.CreateAsync(new VolumeCreateRequest { Name = "memory", DriverOpts = new() { ["type"] = "tmpfs", ["device"] = "tmpfs" } }, Cancellation);
        string path = Volumes.Inspect("memory").Mountpoint;
        ContainerCreateRequest request = With("memory:/v");
        request.Cmd = ["sh", "-c", "echo shared > /v/f; sleep 1000"];
        string running = await fixture.StartedAsync(request);
        await fixture.RestartAsync();
        Assert.True(IsMounted(path));
        ContainerCreateRequest second = With("memory:/v");
        second.Cmd = ["sh", "-c", "until cat /v/f; do sleep 0.1; done"];
        Assert.Equal("shared\n", (await fixture.RunAsync(second)).Output);
        Assert.True(IsMounted(path));
        await fixture.Engine.Containers.RemoveAsync(running, new ContainerRemoveOptions(Force: true), Cancellation);
        Assert.False(IsMounted(path));
        await Volumes.RemoveAsync("memory", force: false, Cancellation);
    }

    [Fact]
    public async Task A_start_that_fails_leaves_nothing_mounted()
    {
        await Volumes.CreateAsync(new VolumeCreateRequest { Name = "first", DriverOpts = new() { ["type"] = "tmpfs", ["device"] = "tmpfs" } }, Cancellation);
        await Volumes.CreateAsync(new VolumeCreateRequest { Name = "second", DriverOpts = new() { ["type"] = "none", ["device"] = "/nonexistent", ["o"] = "bind" } }, Cancellation);
        ContainerCreateRequest request = With("first:/a:nocopy", "second:/b:nocopy");
        string container = await fixture.CreateAsync(request);
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => fixture.Engine.Containers.StartAsync(container, Cancellation));
        Assert.Contains("failed to mount local volume: mount /nonexistent:", refused.Message, StringComparison.Ordinal);
        Assert.False(IsMounted(Volumes.Inspect("first").Mountpoint));
        await fixture.Engine.Containers.RemoveAsync(container, new ContainerRemoveOptions(), Cancellation);
        await Volumes.RemoveAsync("first", force: false, Cancellation);
        await Volumes.RemoveAsync("second", force: false, Cancellation);
    }

    [Fact]
    public async Task What_a_kill_has_left_is_put_right_by_the_next_engine()
    {
        string orphan = new('a', 64);
        string legacy = new('b', 64);
        await fixture.Engine.DisposeAsync();
        await using (DataRoot data = await DataRoot.OpenAsync(new DataRootOptions { Path = fixture.Options.DataRoot, TimeProvider = TimeProvider.System }, Cancellation))
        {
            // An anonymous volume of a container that was never stored; a directory of a creation without a row; a row of a removal without a directory.
            VolumeDocument document = new() { Driver = "local", Owner = new string('c', 64) };
            await data.Volumes.CreateAsync(new VolumeRow(orphan, DateTimeOffset.UnixEpoch, document.ToBytes()), size: null, Cancellation);
            data.Volumes.Ensure("created");
            await data.Volumes.CreateAsync(new VolumeRow("removed", DateTimeOffset.UnixEpoch, document.ToBytes()), size: null, Cancellation);
            Directory.Delete($"{fixture.Options.DataRoot}/volumes/removed", recursive: true);

            // Of an engine that kept no rows.
            data.Volumes.Ensure(legacy);
            await File.WriteAllTextAsync($"{data.Volumes.DataPath(legacy)}/f", "old", Cancellation);
        }

        await fixture.StartAsync();
        List<Api.Disk.Volume> volumes = Volumes.List(Filters.None).Volumes;
        Assert.Equal([legacy], volumes.Select(volume => volume.Name).Intersect([orphan, "created", "removed", legacy]));
        Assert.False(Directory.Exists($"{fixture.Options.DataRoot}/volumes/created"));
        Assert.False(Directory.Exists($"{fixture.Options.DataRoot}/volumes/{orphan}"));
        Assert.True(Volumes.Inspect(legacy).Labels!.ContainsKey(VolumeDocument.AnonymousLabel));
        await Volumes.RemoveAsync(legacy, force: false, Cancellation);
    }

    [Fact]
    public async Task A_creation_that_fails_leaves_no_anonymous_volume()
    {
        ContainerCreateRequest request = With("/anonymous", "x y:/named");
        await Assert.ThrowsAsync<EngineException>(() => fixture.CreateAsync(request));
        ContainerCreateRequest other = With("/anonymous");
        other.HostConfig!.Mounts = [new Mount { Type = "volume", Source = "named-one", Target = "/x", VolumeOptions = new VolumeOptions { DriverConfig = new DriverConfig { Name = "nope" } } }];
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => fixture.CreateAsync(other));
        Assert.Equal((ErrorKind.InvalidParameter, "create named-one: error looking up volume plugin nope: plugin \"nope\" not found"), (refused.Kind, refused.Message));
        Assert.DoesNotContain(Volumes.List(Filters.None).Volumes, volume => volume.Name.Length == 64);
    }

    [Fact]
    public async Task Anonymous_volumes_outlive_a_removal_that_does_not_ask_for_them()
    {
        string container = await fixture.CreateAsync(With("/anonymous"));
        string name = fixture.Inspect(container).Mounts.Single().Name!;
        await fixture.Engine.Containers.RemoveAsync(container, new ContainerRemoveOptions(), Cancellation);
        await fixture.RestartAsync();
        Assert.Equal(name, Volumes.Inspect(name).Name);
        await Volumes.RemoveAsync(name, force: false, Cancellation);
    }

    private static ContainerCreateRequest With(params string[] binds)
    {
        ContainerCreateRequest request = EngineFixture.Request("true");
        request.HostConfig!.Binds = [.. binds];
        return request;
    }

    private static bool IsMounted(string path) => File.ReadLines("/proc/self/mountinfo").Any(line => line.Split(' ')[4] == path);
}
