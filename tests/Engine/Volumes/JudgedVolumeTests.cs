using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Secrets;
using Slipway.Api.Volumes;
using Slipway.Engine;
using Slipway.Engine.Volumes;
using Slipway.Tests.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Volumes;

/// <summary>A name passes to another volume, or secret, between the look at it and the operation.</summary>
public sealed class JudgedVolumeTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IVolumes Volumes => fixture.Engine.Volumes;

    [Fact]
    public async Task Nothing_is_done_to_a_volume_that_has_got_the_name_since()
    {
        Volume looked = await CreateAsync("name");
        IVolumes judged = Volumes.Judged(looked);
        Assert.Equal(looked.Incarnation, judged.Inspect("name").Incarnation);
        await Volumes.RenameAsync("name", "elsewhere", Cancellation);
        Volume other = await CreateAsync("name");
        Assert.NotEqual(looked.Incarnation, other.Incarnation);

        foreach (Func<Task> operation in (Func<Task>[])
            [
                () => Task.FromResult(judged.Inspect("name")),
                () => judged.RemoveAsync("name", force: false, Cancellation),
                () => judged.RenameAsync("name", "taken", Cancellation),
                () => judged.CopyAsync("name", new VolumeCopyRequest { Name = "copied" }, Cancellation),
                () => judged.CopyAsync("name", new VolumeCopyRequest { Name = "copied", Pause = false }, Cancellation),
                () => judged.Export("name")(Stream.Null, Cancellation),
            ])
        {
            EngineException gone = await Assert.ThrowsAsync<EngineException>(operation);
            Assert.Equal((ErrorKind.NotFound, "get name: no such volume"), (gone.Kind, gone.Message));
        }

        await judged.RemoveAsync("name", force: true, Cancellation);
        Assert.Equal(["elsewhere", "name"], Volumes.List(Filters.None).Volumes.Select(volume => volume.Name).Where(name => name is "elsewhere" or "name" or "copied" or "taken"));
        await Volumes.RemoveAsync("elsewhere", force: false, Cancellation);
        await Volumes.Judged(other).RemoveAsync("name", force: false, Cancellation);
    }

    [Fact]
    public async Task A_container_gets_the_volume_and_the_secret_that_were_judged_or_none()
    {
        Volume looked = await CreateAsync("mine");
        string secret = await fixture.Engine.Secrets.CreateAsync(new SecretSpec { Name = "sealed", Data = Convert.ToBase64String("first"u8) }, Cancellation);
        ContainerCreateRequest request = EngineFixture.Request("cat", "/run/secrets/sealed");
        request.HostConfig!.Binds = ["mine:/v"];
        request.HostConfig.Secrets = [new SecretReference { Source = "sealed" }];
        request.Judged = new JudgedObjects { Volumes = { ["mine"] = looked.Incarnation }, Secrets = { ["sealed"] = secret } };
        Assert.Equal("first", (await fixture.RunAsync(request)).Output);

        await fixture.Engine.Secrets.RemoveAsync(secret, Cancellation);
        string other = await fixture.Engine.Secrets.CreateAsync(new SecretSpec { Name = "sealed", Data = Convert.ToBase64String("second"u8) }, Cancellation);
        Assert.Contains(secret, (await RefusedAsync(request)).Message, StringComparison.Ordinal);

        request.Judged.Secrets["sealed"] = other;
        await Volumes.RemoveAsync("mine", force: false, Cancellation);
        await CreateAsync("mine");
        Assert.Equal("get mine: no such volume", (await RefusedAsync(request)).Message);
        await Volumes.RemoveAsync("mine", force: false, Cancellation);

        // Nor is one made in the place of one that is gone.
        Assert.Equal("get mine: no such volume", (await RefusedAsync(request)).Message);
        Assert.Throws<EngineException>(() => Volumes.Inspect("mine"));
        await fixture.Engine.Secrets.RemoveAsync(other, Cancellation);
    }

    private async Task<EngineException> RefusedAsync(ContainerCreateRequest request)
    {
        EngineException refused = await Assert.ThrowsAsync<EngineException>(() => fixture.CreateAsync(request));
        Assert.Equal(ErrorKind.InvalidParameter, refused.Kind);
        return refused;
    }

    private Task<Volume> CreateAsync(string name) => Volumes.CreateAsync(new VolumeCreateRequest { Name = name }, Cancellation);
}
