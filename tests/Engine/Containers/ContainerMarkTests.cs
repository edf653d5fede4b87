using System.Formats.Tar;
using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Xunit;

namespace Slipway.Tests.Engine.Containers;

/// <summary><c>/.dockerenv</c>, by which programs know that they run in a container.</summary>
public sealed class ContainerMarkTests(EngineFixture fixture) : IClassFixture<EngineFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IContainers Containers => fixture.Engine.Containers;

    [Fact]
    public async Task It_is_an_empty_file_that_is_no_change_of_the_container()
    {
        string id = await fixture.CreateAsync(EngineFixture.Request("sh", "-c", "test -f /.dockerenv && test ! -s /.dockerenv && echo x > /own"));
        await Containers.StartAsync(id, Cancellation);
        Assert.Equal(0, await fixture.WaitAsync(id));
        Assert.Equal([(1, "/own")], (await Containers.ChangesAsync(id, Cancellation)).Select(change => (change.Kind, change.Path)));

        // As in Docker, an export is what the container sees.
        Assert.Contains(".dockerenv", await ExportedAsync(id));
    }

    [Fact]
    public async Task What_a_container_does_to_it_is_its_own_change()
    {
        string removed = await fixture.StartedAsync(EngineFixture.Request("rm", "/.dockerenv"));
        Assert.Equal(0, await fixture.WaitAsync(removed));
        Assert.Equal([(2, "/.dockerenv")], (await Containers.ChangesAsync(removed, Cancellation)).Select(change => (change.Kind, change.Path)));
        Assert.DoesNotContain(".dockerenv", await ExportedAsync(removed));

        string written = await fixture.StartedAsync(EngineFixture.Request("sh", "-c", "echo x > /.dockerenv"));
        Assert.Equal(0, await fixture.WaitAsync(written));
        RunResult other = await fixture.RunAsync("sh", "-c", "test ! -s /.dockerenv && echo empty");
        Assert.Equal("empty\n", other.Output);
    }

    private async Task<List<string>> ExportedAsync(string id)
    {
        using MemoryStream archive = new();
        await Containers.Export(id)(archive, Cancellation);
        archive.Position = 0;
        using TarReader tar = new(archive);
        List<string> names = [];
        while (await tar.GetNextEntryAsync(cancellationToken: Cancellation) is { } entry)
        {
            names.Add(entry.Name);
        }

        return names;
    }
}
