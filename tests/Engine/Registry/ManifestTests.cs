using System.Text;
using System.Text.Json.Nodes;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting tags", "Deleting Manifests".</summary>
public sealed class ManifestTests
{
    private static readonly byte[] s_config = "{}"u8.ToArray();

    [Fact]
    public async Task A_manifest_comes_back_byte_for_byte_by_tag_and_by_digest()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] manifest = await registry.PushImageAsync("team/app", "v1");
        Digest digest = Digest.Of(manifest);
        foreach (string reference in new[] { "v1", digest.ToString() })
        {
            for (int time = 0; time < 2; time++)
            {
                Answer get = (await registry.GetAsync($"/v2/team/app/manifests/{reference}")).Is(200);
                Assert.Equal(manifest, get.Body);
                Assert.Equal(MediaTypes.OciManifest, get.Header("Content-Type"));
                Assert.Equal(digest.ToString(), get.Header("Docker-Content-Digest"));
                Answer head = (await registry.HeadAsync($"/v2/team/app/manifests/{reference}")).Is(200);
                Assert.Empty(head.Body);
                Assert.Equal(get.Header("Content-Length"), head.Header("Content-Length"));
                Assert.Empty((await registry.GetAsync($"/v2/team/app/manifests/{reference}", ("If-None-Match", get.Header("ETag")))).Is(304).Body);
            }
        }
    }

    [Fact]
    public async Task A_tag_moves_and_the_old_manifest_stays_by_digest()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] first = await registry.PushImageAsync("app", "latest", "one");
        Assert.Equal(first, (await registry.GetAsync("/v2/app/manifests/latest")).Body);
        byte[] second = await registry.PushImageAsync("app", "latest", "two");
        Assert.Equal(second, (await registry.GetAsync("/v2/app/manifests/latest")).Body);
        Assert.Equal(first, (await registry.GetAsync($"/v2/app/manifests/{Digest.Of(first)}")).Is(200).Body);
        await registry.RestartAsync();
        Assert.Equal(second, (await registry.GetAsync("/v2/app/manifests/latest")).Body);
    }

    [Fact]
    public async Task Unknown_names_are_told_apart()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushImageAsync("app", "v1");
        (await registry.GetAsync("/v2/app/manifests/v2")).IsError(404, "MANIFEST_UNKNOWN");
        (await registry.GetAsync($"/v2/app/manifests/{Digest.Of("x"u8)}")).IsError(404, "MANIFEST_UNKNOWN");
        (await registry.GetAsync("/v2/other/manifests/v1")).IsError(404, "MANIFEST_UNKNOWN");
        (await registry.GetAsync("/v2/app/manifests/.bad")).IsError(400, "TAG_INVALID");
        (await registry.GetAsync("/v2/UPPER/manifests/v1")).IsError(400, "NAME_INVALID");
        (await registry.GetAsync("/v2/a..b/manifests/v1")).IsError(400, "NAME_INVALID");
        (await registry.GetAsync("/v2/a~b/manifests/v1")).IsError(400, "NAME_INVALID");
        (await registry.GetAsync($"/v2/{new string('a', 256)}/manifests/v1")).IsError(400, "NAME_INVALID");
        (await registry.SendAsync(HttpMethod.Post, "/v2/app/manifests/v1")).IsError(405, "UNSUPPORTED");
        (await registry.GetAsync("/nowhere")).Is(404);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"schemaVersion\":1,\"fsLayers\":[]}")]
    [InlineData("{\"schemaVersion\":2,\"config\":{}}")]
    [InlineData("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:../../lock\",\"size\":1}}")]
    public async Task What_is_no_manifest_is_refused(string document)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        (await registry.PutManifestAsync("app", "v1", Encoding.UTF8.GetBytes(document))).IsError(400, "MANIFEST_INVALID");
        (await registry.GetAsync("/v2/app/tags/list")).IsError(404, "NAME_UNKNOWN");
    }

    [Fact]
    public async Task CVE_2021_41190_a_document_with_both_shapes_or_two_types_is_refused()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("app", s_config);
        byte[] both = RegistryUnderTest.Manifest(s_config, [], manifest => manifest["manifests"] = new JsonArray());
        (await registry.PutManifestAsync("app", "v1", both)).IsError(400, "MANIFEST_INVALID");
        (await registry.PutManifestAsync("app", "v1", both, MediaTypes.OciIndex)).IsError(400, "MANIFEST_INVALID");

        // One shape, called by the other's name: by the document, or by the header.
        byte[] lying = RegistryUnderTest.Manifest(s_config, [], manifest => manifest["mediaType"] = MediaTypes.OciIndex);
        (await registry.PutManifestAsync("app", "v1", lying, MediaTypes.OciIndex)).IsError(400, "MANIFEST_INVALID");
        (await registry.PutManifestAsync("app", "v1", RegistryUnderTest.Manifest(s_config, []), MediaTypes.OciIndex)).IsError(400, "MANIFEST_INVALID");
        (await registry.PutManifestAsync("app", "v1", RegistryUnderTest.Manifest(s_config, []), MediaTypes.DockerManifest)).IsError(400, "MANIFEST_INVALID");
        (await registry.PutManifestAsync("app", "v1", RegistryUnderTest.Manifest(s_config, []))).Is(201);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("application/vnd.oci.image.manifest.v1+json")]
    [InlineData("application/vnd.oci.image.manifest.v1+json; charset=utf-8")]
    public async Task A_document_without_a_type_has_the_one_of_its_shape(string? contentType)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("app", s_config);
        (await registry.PutManifestAsync("app", "v1", RegistryUnderTest.Manifest(s_config, [], manifest => manifest.Remove("mediaType")), contentType)).Is(201);
        Assert.Equal(MediaTypes.OciManifest, (await registry.GetAsync("/v2/app/manifests/v1")).Header("Content-Type"));
    }

    [Fact]
    public async Task The_digest_it_is_pushed_by_must_be_its_own()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("app", s_config);
        byte[] manifest = RegistryUnderTest.Manifest(s_config, []);
        (await registry.PutManifestAsync("app", Digest.Of("other"u8).ToString(), manifest)).IsError(400, "DIGEST_INVALID");
        (await registry.PutManifestAsync("app", "sha256:abc", manifest)).IsError(400, "DIGEST_INVALID");
        (await registry.PutManifestAsync("app", Digest.Of(manifest).ToString(), manifest)).Is(201);
        Digest sha512 = Digest.FromHash(System.Security.Cryptography.SHA512.HashData(manifest));
        (await registry.PutManifestAsync("app", sha512.ToString(), manifest)).Is(201);
        Assert.Equal(manifest, (await registry.GetAsync($"/v2/app/manifests/{sha512}")).Is(200).Body);
    }

    [Fact]
    public async Task What_a_manifest_needs_must_be_in_its_repository()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] layer = "layer"u8.ToArray();
        await registry.PushBlobAsync("app", s_config);
        await registry.PushBlobAsync("other", layer);
        (await registry.PutManifestAsync("app", "v1", RegistryUnderTest.Manifest(s_config, [layer]))).IsError(404, "MANIFEST_BLOB_UNKNOWN");
        await registry.PushBlobAsync("app", layer);
        byte[] wrongSize = RegistryUnderTest.Manifest(s_config, [layer], manifest => manifest["layers"]![0]!["size"] = 4);
        (await registry.PutManifestAsync("app", "v1", wrongSize)).IsError(400, "MANIFEST_INVALID");
        byte[] image = RegistryUnderTest.Manifest(s_config, [layer]);
        byte[] index = RegistryUnderTest.Index((MediaTypes.OciManifest, image));
        (await registry.PutManifestAsync("app", "all", index, MediaTypes.OciIndex)).IsError(404, "MANIFEST_BLOB_UNKNOWN");
        (await registry.PutManifestAsync("app", "v1", image)).Is(201);
        (await registry.PutManifestAsync("app", "all", index, MediaTypes.OciIndex)).Is(201);
        Assert.Equal(MediaTypes.OciIndex, (await registry.GetAsync("/v2/app/manifests/all")).Header("Content-Type"));
    }

    [Fact]
    public async Task Layers_that_may_not_be_distributed_need_not_be_there()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("app", s_config);
        byte[] manifest = RegistryUnderTest.Manifest(
            s_config, ["elsewhere"u8.ToArray()], document => document["layers"]![0]!["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar");
        (await registry.PutManifestAsync("app", "v1", manifest)).Is(201);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_manifest_is_at_most_four_mebibytes(bool announced)
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("app", s_config);
        int rest = (4 << 20) - RegistryUnderTest.Manifest(s_config, [], manifest => manifest["annotations"] = new JsonObject { ["x"] = "" }).Length;
        byte[] largest = RegistryUnderTest.Manifest(s_config, [], manifest => manifest["annotations"] = new JsonObject { ["x"] = new string('x', rest) });
        Assert.Equal(4 << 20, largest.Length);
        (await registry.PutManifestAsync("app", "v1", largest)).Is(201);
        Assert.Equal(largest, (await registry.GetAsync("/v2/app/manifests/v1")).Is(200).Body);
        Answer refused = await registry.SendAsync(HttpMethod.Put, "/v2/app/manifests/v2", [.. largest, (byte)' '], request => request.Headers.TransferEncodingChunked = !announced);
        refused.IsError(413, "SIZE_INVALID");
    }

    [Fact]
    public async Task Tags_are_set_by_a_push_by_digest()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("app", s_config);
        byte[] manifest = RegistryUnderTest.Manifest(s_config, []);
        Answer put = (await registry.PutManifestAsync("app", $"{Digest.Of(manifest)}?tag=1.2.3&tag=latest", manifest)).Is(201);
        Assert.Equal("1.2.3, latest", put.Header("OCI-Tag"));
        Assert.Equal(manifest, (await registry.GetAsync("/v2/app/manifests/1.2.3")).Is(200).Body);
        (await registry.PutManifestAsync("app", $"{Digest.Of(manifest)}?tag=..", manifest)).IsError(400, "TAG_INVALID");
        (await registry.PutManifestAsync("app", $"{Digest.Of(manifest)}?{string.Join('&', Enumerable.Range(0, 33).Select(i => $"tag=t{i}"))}", manifest)).Is(414);
    }

    [Fact]
    public async Task Deleting_a_tag_keeps_the_manifest_and_deleting_the_manifest_takes_its_tags()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] manifest = await registry.PushImageAsync("app", "one");
        await registry.PutManifestAsync("app", "two", manifest);
        await registry.PutManifestAsync("app", "three", manifest);
        byte[] other = await registry.PushImageAsync("app", "other", "another layer");
        Digest digest = Digest.Of(manifest);
        (await registry.GetAsync("/v2/app/manifests/one")).Is(200);
        (await registry.DeleteAsync("/v2/app/manifests/one")).Is(202);
        (await registry.GetAsync("/v2/app/manifests/one")).IsError(404, "MANIFEST_UNKNOWN");
        (await registry.GetAsync($"/v2/app/manifests/{digest}")).Is(200);
        (await registry.GetAsync("/v2/app/manifests/two")).Is(200);
        (await registry.DeleteAsync($"/v2/app/manifests/{digest}")).Is(202);
        foreach (string reference in new[] { "two", "three", digest.ToString() })
        {
            (await registry.GetAsync($"/v2/app/manifests/{reference}")).IsError(404, "MANIFEST_UNKNOWN");
        }

        Assert.Equal(other, (await registry.GetAsync("/v2/app/manifests/other")).Is(200).Body);
        (await registry.DeleteAsync($"/v2/app/manifests/{digest}")).IsError(404, "MANIFEST_UNKNOWN");
        (await registry.DeleteAsync("/v2/app/manifests/one")).IsError(404, "MANIFEST_UNKNOWN");
        (await registry.DeleteAsync("/v2/never/manifests/one")).IsError(404, "NAME_UNKNOWN");
    }

    [Fact]
    public async Task Read_only_refuses_all_changes()
    {
        string root;
        byte[] manifest;
        DirectoryInfo kept = Directory.CreateTempSubdirectory("slipway-registry-");
        try
        {
            root = kept.FullName;
            await using (RegistryUnderTest writable = await RegistryUnderTest.StartAsync(root: root))
            {
                manifest = await writable.PushImageAsync("app", "v1");
            }

            await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { ReadOnly = true }, root);
            Assert.Equal(manifest, (await registry.GetAsync("/v2/app/manifests/v1")).Is(200).Body);
            (await registry.PutManifestAsync("app", "v2", manifest)).IsError(405, "UNSUPPORTED");
            (await registry.DeleteAsync("/v2/app/manifests/v1")).IsError(405, "UNSUPPORTED");
            (await registry.DeleteAsync($"/v2/app/blobs/{Digest.Of("layer"u8)}")).IsError(405, "UNSUPPORTED");
            (await registry.SendAsync(HttpMethod.Post, "/v2/app/blobs/uploads/")).IsError(405, "UNSUPPORTED");
        }
        finally
        {
            kept.Delete(recursive: true);
        }
    }
}
