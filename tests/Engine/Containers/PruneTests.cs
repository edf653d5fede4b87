using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Engine.Disk;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary>Prunes and sizes over a real engine that nobody else uses.</summary>
public sealed class PruneTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Volumes_that_nobody_mounts_go_and_named_ones_only_when_asked()
    {
        string used = await CreateWithVolumesAsync("kept-data:/named", "/anonymous");
        string removed = await CreateWithVolumesAsync("lost-data:/named", "/anonymous");
        await fixture.Engine.Containers.RemoveAsync(removed, new ContainerRemoveOptions(), Cancellation);
        DiskUsage before = await fixture.Engine.Disk.UsageAsync(DiskUsageTypes.Volumes, Cancellation);
        Assert.Equal(4, before.Volumes!.Count);
        Assert.Equal(2, before.Volumes.Count(volume => volume.UsageData!.RefCount == 1));
        Assert.Null(before.Images);

        VolumesPruneReport anonymous = await fixture.Engine.Volumes.PruneAsync(Filters.None, all: false, Cancellation);
        string name = Assert.Single(anonymous.VolumesDeleted);
        Assert.Equal(64, name.Length);
        Assert.True(anonymous.SpaceReclaimed > 0);
        Assert.Empty((await fixture.Engine.Volumes.PruneAsync(Of("label", "x"), all: true, Cancellation)).VolumesDeleted);
        Assert.Equal(["lost-data"], (await fixture.Engine.Volumes.PruneAsync(Of("all", "true"), all: false, Cancellation)).VolumesDeleted);
        Assert.Equal(["kept-data"], (await fixture.Engine.Disk.UsageAsync(DiskUsageTypes.Volumes, Cancellation)).Volumes!.Select(volume => volume.Name).Where(volume => volume.Length < 64));
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => fixture.Engine.Volumes.PruneAsync(Of("until", "1h"), all: false, Cancellation));
        Assert.Equal((ErrorKind.InvalidParameter, "invalid filter 'until'"), (refused.Kind, refused.Message));
        await fixture.Engine.Containers.RemoveAsync(used, new ContainerRemoveOptions(Volumes: true), Cancellation);
    }

    [Fact]
    public async Task The_ledger_names_who_uses_what()
    {
        string id = await fixture.CreateAsync(EngineFixture.Request("true"), "user");
        DiskLedger ledger = await fixture.Engine.Disk.LedgerAsync(Cancellation);
        Assert.Equal(ledger.Total, ledger.Objects.Sum(item => item.Bytes));
        DiskObject layer = Assert.Single(ledger.Objects, item => item.Kind == "layer");
        Assert.Equal([BusyboxImage.Name + ":latest"], layer.UsedBy);
        Assert.NotNull(layer.LastUsed);
        Assert.Null(ledger.Budget);
        await fixture.Engine.Containers.RemoveAsync(id, new ContainerRemoveOptions(), Cancellation);
    }

    [Fact]
    public async Task A_container_that_is_paused_does_not_go()
    {
        string paused = await fixture.StartedAsync(EngineFixture.Request("sleep", "1000"));
        await fixture.Engine.Containers.PauseAsync(paused, Cancellation);
        string created = await fixture.CreateAsync(EngineFixture.Request("true"));
        ContainersPruneReport report = await fixture.Engine.Containers.PruneAsync(Filters.None, Cancellation);
        Assert.Equal([created], report.ContainersDeleted);
        Assert.Equal("paused", fixture.Inspect(paused).State.Status);
        await fixture.Engine.Containers.RemoveAsync(paused, new ContainerRemoveOptions(Force: true), Cancellation);
    }

    private static Filters Of(string key, string value) => new(new Dictionary<string, IReadOnlyList<string>> { [key] = [value] });

    private async Task<string> CreateWithVolumesAsync(params string[] binds)
    {
        ContainerCreateRequest request = EngineFixture.Request("true");
        request.HostConfig!.Binds = [.. binds];
        string id = await fixture.StartedAsync(request);
        await fixture.WaitAsync(id);
        return id;
    }
}
