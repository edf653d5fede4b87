using Slipway.Tests.Engine.Server.BuildKit;
using System.Text;
using System.Text.Json;
using Slipway.Api.Containers;
using Slipway.Api.Disk;
using Slipway.Api.Images;
using Slipway.Engine.Containers;
using Slipway.Engine.Disk;
using Xunit;

namespace Slipway.Tests.Engine.Server;

/// <summary>Commit, export, changes, system df and the prunes: what reaches the engine and what goes back.</summary>
public sealed class DiskRequestTests
{
    [Theory]
    [InlineData("/commit?container=c", "c|||||True|0|")]
    [InlineData("/commit?container=c&repo=r&tag=t&comment=m&author=a&pause=0&changes=CMD%20x&changes=USER%20y", "c|r|t|m|a|False|2|CMD x,USER y")]
    [InlineData("/commit?container=c&pause=false", "c|||||False|0|")]
    [InlineData("/commit?container=c&pause=1", "c|||||True|0|")]
    public async Task A_commit_is_read_as_Docker_reads_it(string path, string expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        ContainerCommit? seen = null;
        server.Engine.OnCommit = commit =>
        {
            seen = commit;
            return "sha256:abc";
        };
        (int status, string body) = await server.SendAsync("POST", path);
        Assert.Equal((201, "{\"Id\":\"sha256:abc\"}\n"), (status, body));
        string text = string.Join('|', seen!.Container, seen.Repository, seen.Tag, seen.Comment, seen.Author, seen.Pause, seen.Changes.Count, string.Join(',', seen.Changes));
        Assert.Equal(expected, text);
        Assert.Null(seen.Config);
    }

    [Theory]
    [InlineData("null", null)]
    [InlineData("{\"Cmd\":\"x\",\"Unknown\":1}", "x")]
    public async Task The_body_of_a_commit_is_the_configuration(string json, string? command)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        ContainerCommit? seen = null;
        server.Engine.OnCommit = commit =>
        {
            seen = commit;
            return "sha256:abc";
        };
        using StringContent body = new(json, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await server.Http.PostAsync(new Uri("/commit?container=c", UriKind.Relative), body, TestContext.Current.CancellationToken);
        Assert.Equal(201, (int)response.StatusCode);
        Assert.Equal(command, seen!.Config?.Cmd?[0]);
    }

    [Fact]
    public async Task Changes_are_a_list_or_null()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        Assert.Equal((200, "null\n"), await server.SendAsync("GET", "/containers/c/changes"));
        server.Engine.OnChanges = _ => [new FilesystemChange("/a", 0), new FilesystemChange("/a/b", 1)];
        Assert.Equal((200, "[{\"Path\":\"/a\",\"Kind\":0},{\"Path\":\"/a/b\",\"Kind\":1}]\n"), await server.SendAsync("GET", "/v1.24/containers/c/changes"));
    }

    [Fact]
    public async Task An_export_is_a_stream_and_an_unknown_container_an_error()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        Assert.Equal(404, (await server.SendAsync("GET", "/containers/nosuch/export")).Status);
        server.Engine.OnExport = _ => async (output, end) => await output.WriteAsync("tar"u8.ToArray(), end);
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri("/containers/c/export", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal("application/octet-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("tar", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("/v1.50/system/df", DiskUsageTypes.All)]
    [InlineData("/v1.50/system/df?type=image", DiskUsageTypes.Images)]
    [InlineData("/v1.42/system/df?type=container&type=volume", DiskUsageTypes.Containers | DiskUsageTypes.Volumes)]
    [InlineData("/v1.42/system/df?type=build-cache", DiskUsageTypes.BuildCache)]
    [InlineData("/v1.41/system/df?type=image", DiskUsageTypes.All)]
    public async Task Parts_of_system_df_can_be_asked_for(string path, DiskUsageTypes expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        DiskUsageTypes seen = DiskUsageTypes.None;
        server.Engine.OnDiskUsage = types =>
        {
            seen = types;
            return new DiskUsage { LayersSize = 5 };
        };
        (int status, string body) = await server.SendAsync("GET", path);
        Assert.Equal((200, expected), (status, seen));
        Assert.Equal("{\"LayersSize\":5,\"Images\":null,\"Containers\":null,\"Volumes\":null,\"BuildCache\":null}\n", body);
    }

    [Fact]
    public async Task An_unknown_part_is_refused()
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        (int status, string body) = await server.SendAsync("GET", "/system/df?type=foo");
        Assert.Equal((400, "unknown object type: foo"), (status, JsonDocument.Parse(body).RootElement.GetProperty("message").GetString()));
    }

    [Theory]
    [InlineData("/v1.43/system/df", true)]
    [InlineData("/v1.44/system/df", false)]
    public async Task Old_clients_get_the_virtual_size_of_images(string path, bool expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.OnDiskUsage = _ => new DiskUsage { Images = [new ImageSummary { Id = "i", Size = 7 }] };
        JsonElement image = JsonDocument.Parse((await server.SendAsync("GET", path)).Body).RootElement.GetProperty("Images")[0];
        Assert.Equal(expected, image.TryGetProperty("VirtualSize", out JsonElement size) && size.GetInt64() == 7);
    }

    [Theory]
    [InlineData("/v1.41/volumes/prune", "{\"VolumesDeleted\":[\"all\"],\"SpaceReclaimed\":0}\n")]
    [InlineData("/v1.42/volumes/prune", "{\"VolumesDeleted\":[],\"SpaceReclaimed\":0}\n")]
    [InlineData("/containers/prune", "{\"ContainersDeleted\":null,\"SpaceReclaimed\":0}\n")]
    [InlineData("/images/prune", "{\"ImagesDeleted\":null,\"SpaceReclaimed\":0}\n")]
    [InlineData("/networks/prune", "{\"NetworksDeleted\":null}\n")]
    [InlineData("/build/prune", "{\"CachesDeleted\":null,\"SpaceReclaimed\":0}\n")]
    public async Task A_prune_says_what_went(string path, string expected)
    {
        await using ServerUnderTest server = await ServerUnderTest.StartAsync();
        server.Engine.Builds = new FakeBuilds((_, _, _) => throw new InvalidOperationException("nothing is to be built"));
        Assert.Equal((200, expected), await server.SendAsync("POST", path));
    }
}
