using System.Text;
using System.Text.Json.Nodes;
using Slipway.Oci;
using Slipway.Registry.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>What a collection removes, and what it must not.</summary>
public sealed class CollectionTests
{
    private static readonly byte[] s_layer = Encoding.UTF8.GetBytes("layer");

    private static async Task<JsonNode> CollectAsync(RegistryUnderTest registry) => (await registry.SendAsync(HttpMethod.Post, "/-/gc")).Is(200).Json;

    private static string[] Stored(RegistryUnderTest registry) => [.. Directory.GetFiles(Path.Combine(registry.Root, "blobs")).Select(Path.GetFileName).Order()!];

    [Fact]
    public async Task What_a_manifest_needs_stays_and_what_none_needs_goes_after_the_grace()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] manifest = await registry.PushImageAsync("app", "1");
        Digest orphan = await registry.PushBlobAsync("app", "orphan"u8.ToArray());
        await CollectAsync(registry);
        (await registry.HeadAsync($"/v2/app/blobs/{orphan}")).Is(200);
        registry.Time.Ahead = TimeSpan.FromHours(2);
        JsonNode report = await CollectAsync(registry);
        Assert.Equal((1, 1, 6), ((int)report["links"]!, (int)report["blobs"]!, (int)report["bytes"]!));
        (await registry.GetAsync($"/v2/app/blobs/{orphan}")).IsError(404, "BLOB_UNKNOWN");
        Assert.Equal("layer", (await registry.GetAsync($"/v2/app/blobs/{Digest.Of(s_layer)}")).Is(200).Text);
        (await registry.DeleteAsync($"/v2/app/manifests/{Digest.Of(manifest)}")).Is(202);
        await CollectAsync(registry);
        Assert.Empty(Stored(registry));
    }

    /// <summary>A push that finds a blob here does not send it; it must still be here when its manifest comes.</summary>
    [Fact]
    public async Task A_blob_that_a_push_found_or_mounted_is_kept_for_it()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Digest found = await registry.PushBlobAsync("app", "found"u8.ToArray());
        Digest mounted = await registry.PushBlobAsync("source", "mounted"u8.ToArray());
        Digest forgotten = await registry.PushBlobAsync("app", "forgotten"u8.ToArray());
        registry.Time.Ahead = TimeSpan.FromHours(3);
        (await registry.HeadAsync($"/v2/app/blobs/{found}")).Is(200);
        (await registry.SendAsync(HttpMethod.Post, $"/v2/app/blobs/uploads/?mount={mounted}&from=source")).Is(201);
        await CollectAsync(registry);
        (await registry.HeadAsync($"/v2/app/blobs/{forgotten}")).Is(404);
        (await registry.PutManifestAsync("app", "1", RegistryUnderTest.Manifest("found"u8.ToArray(), ["mounted"u8.ToArray()]))).Is(201);
    }

    [Fact]
    public async Task Content_that_another_repository_needs_stays()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] manifest = await registry.PushImageAsync("a", "1");
        await registry.PushImageAsync("b", "1");
        (await registry.DeleteAsync($"/v2/a/manifests/{Digest.Of(manifest)}")).Is(202);
        registry.Time.Ahead = TimeSpan.FromHours(2);
        Assert.Equal((2, 0), ((int)(await CollectAsync(registry))["links"]!, 0));
        (await registry.GetAsync($"/v2/a/blobs/{Digest.Of(s_layer)}")).Is(404);
        (await registry.GetAsync($"/v2/b/blobs/{Digest.Of(s_layer)}")).Is(200);
    }

    [Fact]
    public async Task Untagged_manifests_go_where_that_is_wanted()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { Collection = new() { Untagged = true } });
        byte[] child = await registry.PushImageAsync("app", "child");
        (await registry.PutManifestAsync("app", "all", RegistryUnderTest.Index((MediaTypes.OciManifest, child)), MediaTypes.OciIndex)).Is(201);
        byte[] about = await registry.PushImageAsync("app", "about", "x", manifest => manifest["subject"] = RegistryUnderTest.Describe(MediaTypes.OciManifest, child));
        byte[] lost = await registry.PushImageAsync("app", "lost", "y");
        foreach (string tag in new[] { "child", "about", "lost" })
        {
            (await registry.DeleteAsync($"/v2/app/manifests/{tag}")).Is(202);
        }

        Assert.Equal(0, (int)(await CollectAsync(registry))["manifests"]!);
        registry.Time.Ahead = TimeSpan.FromHours(2);
        Assert.Equal(1, (int)(await CollectAsync(registry))["manifests"]!);
        (await registry.GetAsync($"/v2/app/manifests/{Digest.Of(lost)}")).Is(404);
        (await registry.GetAsync($"/v2/app/manifests/{Digest.Of(child)}")).Is(200);
        (await registry.GetAsync($"/v2/app/manifests/{Digest.Of(about)}")).Is(200);
    }

    [Fact]
    public async Task A_damaged_manifest_keeps_all_of_its_repository()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] manifest = await registry.PushImageAsync("app", "1");
        await File.WriteAllTextAsync(Path.Combine(registry.Root, "repositories", "app", "manifests", Digest.Of(manifest).ToString()), "{", TestContext.Current.CancellationToken);
        await registry.PushBlobAsync("other", "orphan"u8.ToArray());
        registry.Time.Ahead = TimeSpan.FromHours(2);
        Assert.Equal(1, (int)(await CollectAsync(registry))["links"]!);
        (await registry.GetAsync($"/v2/app/blobs/{Digest.Of(s_layer)}")).Is(200);
        Assert.Contains(registry.Log.Entries, line => line.Contains("app has a damaged manifest", StringComparison.Ordinal));
    }

    /// <summary>
    /// 64 pushers and pullers, with collections one after the other and no grace at all: every image whose manifest was accepted can be pulled
    /// whole, and pushes and pulls see no error.
    /// </summary>
    [Fact]
    public async Task Sixty_four_clients_and_a_collection_without_grace_lose_nothing()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { Collection = new() { Grace = "1s" } });
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        end.CancelAfter(TimeSpan.FromSeconds(20));
        int collections = 0, images = 0;
        Task collecting = CollectRepeatedlyAsync();
        await Task.WhenAll(Enumerable.Range(0, 64).Select(PushAndPullAsync));
        await collecting;
        Assert.True(images > 64 && collections > 3, $"{images} images, {collections} collections: too few to show anything");
        Assert.Empty(registry.Log.Entries);

        async Task CollectRepeatedlyAsync()
        {
            while (!end.IsCancellationRequested)
            {
                await CollectAsync(registry);
                collections++;
            }
        }

        async Task PushAndPullAsync(int client)
        {
            Random random = new(client);
            while (!end.IsCancellationRequested)
            {
                // Few layers and repositories, so that what one deletes another is just pushing.
                (string repository, string tag) = ($"r{random.Next(6)}", $"c{client}");
                byte[] layer = Encoding.UTF8.GetBytes($"layer {random.Next(12)} {new string('x', random.Next(2) * 100_000)}");
                byte[] config = Encoding.UTF8.GetBytes($"config {random.Next(12)}");
                foreach (byte[] blob in new[] { layer, config })
                {
                    if ((await registry.HeadAsync($"/v2/{repository}/blobs/{Digest.Of(blob)}")).Status == 404)
                    {
                        await registry.PushBlobAsync(repository, blob);
                    }
                }

                byte[] manifest = RegistryUnderTest.Manifest(config, [layer], document => document["annotations"] = new JsonObject { ["client"] = tag });
                (await registry.PutManifestAsync(repository, tag, manifest)).Is(201);
                Assert.Equal(manifest, (await registry.GetAsync($"/v2/{repository}/manifests/{tag}")).Is(200).Body);
                Assert.Equal(layer, (await registry.GetAsync($"/v2/{repository}/blobs/{Digest.Of(layer)}")).Is(200).Body);
                Assert.Equal(config, (await registry.GetAsync($"/v2/{repository}/blobs/{Digest.Of(config)}")).Is(200).Body);
                Interlocked.Increment(ref images);
                if (random.Next(2) == 0)
                {
                    (await registry.DeleteAsync($"/v2/{repository}/manifests/{Digest.Of(manifest)}")).Is(202);
                }
            }
        }
    }
}
