using System.Text.Json.Nodes;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>distribution-spec, "Listing Tags", "Listing Referrers", "Pushing Manifests with Subject"; the catalog.</summary>
public sealed class ListTests
{
    private static readonly byte[] s_config = "{}"u8.ToArray();

    private static IEnumerable<string> Strings(JsonNode? array) => array!.AsArray().Select(item => (string)item!);

    [Fact]
    public async Task Tags_come_in_order_and_in_pages()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        byte[] manifest = await registry.PushImageAsync("app", "b");
        foreach (string tag in new[] { "a", "C", "c", "_d", "0" })
        {
            (await registry.PutManifestAsync("app", tag, manifest)).Is(201);
        }

        Answer all = (await registry.GetAsync("/v2/app/tags/list")).Is(200);
        Assert.Equal("app", (string?)all.Json["name"]);
        Assert.Equal(["0", "C", "_d", "a", "b", "c"], Strings(all.Json["tags"]));
        Assert.False(all.Headers.ContainsKey("Link"));

        List<string> paged = [];
        string? next = "/v2/app/tags/list?n=4";
        while (next is not null)
        {
            Answer page = (await registry.GetAsync(next)).Is(200);
            paged.AddRange(Strings(page.Json["tags"]));
            next = page.Headers.TryGetValue("Link", out string? link) ? link[1..link.IndexOf('>', StringComparison.Ordinal)] : null;
            Assert.True(link is null || link.EndsWith("; rel=\"next\"", StringComparison.Ordinal));
        }

        Assert.Equal(["0", "C", "_d", "a", "b", "c"], paged);
        Assert.Equal(["b", "c"], Strings((await registry.GetAsync("/v2/app/tags/list?last=a")).Json["tags"]));
        Assert.Equal(["b"], Strings((await registry.GetAsync("/v2/app/tags/list?last=aa&n=1")).Is(200).Json["tags"]));
        Answer none = (await registry.GetAsync("/v2/app/tags/list?n=0")).Is(200);
        Assert.Empty(none.Json["tags"]!.AsArray());
        Assert.False(none.Headers.ContainsKey("Link"));
        (await registry.GetAsync("/v2/app/tags/list?n=-1")).IsError(400, "PAGINATION_NUMBER_INVALID");
        (await registry.GetAsync("/v2/app/tags/list?n=x")).IsError(400, "PAGINATION_NUMBER_INVALID");
        (await registry.GetAsync("/v2/never/tags/list")).IsError(404, "NAME_UNKNOWN");
    }

    [Fact]
    public async Task The_catalog_holds_what_has_manifests()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Assert.Empty((await registry.GetAsync("/v2/_catalog")).Is(200).Json["repositories"]!.AsArray());
        await registry.PushBlobAsync("only-a-blob", s_config);
        foreach (string name in new[] { "team/app", "app", "team-b/app/deep/er" })
        {
            await registry.PushImageAsync(name, "1");
        }

        Assert.Equal(["app", "team-b/app/deep/er", "team/app"], Strings((await registry.GetAsync("/v2/_catalog")).Json["repositories"]));
        Answer page = (await registry.GetAsync("/v2/_catalog?n=1")).Is(200);
        Assert.Equal("</v2/_catalog?n=1&last=app>; rel=\"next\"", page.Header("Link"));
        Assert.Equal(["team-b/app/deep/er"], Strings((await registry.GetAsync("/v2/_catalog?n=1&last=app")).Json["repositories"]));
    }

    [Fact]
    public async Task Names_may_hold_the_words_of_the_api()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        foreach (string name in new[] { "manifests", "blobs/uploads", "a/blobs/b", "tags/list", "referrers/v2" })
        {
            byte[] manifest = await registry.PushImageAsync(name, "1");
            Assert.Equal(manifest, (await registry.GetAsync($"/v2/{name}/manifests/1")).Is(200).Body);
            Assert.Equal(["1"], Strings((await registry.GetAsync($"/v2/{name}/tags/list")).Is(200).Json["tags"]));
        }
    }

    [Fact]
    public async Task Referrers_are_listed_with_type_and_annotations()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushBlobAsync("app", s_config);
        byte[] image = RegistryUnderTest.Manifest(s_config, []);
        JsonObject subject = RegistryUnderTest.Describe(MediaTypes.OciManifest, image);
        Digest digest = Digest.Of(image);

        // In either order: the subject need not be there yet.
        byte[] signature = RegistryUnderTest.Manifest(s_config, [], manifest =>
        {
            manifest["artifactType"] = "application/x.signature";
            manifest["subject"] = subject.DeepClone();
            manifest["annotations"] = new JsonObject { ["by"] = "me" };
        });
        Answer put = (await registry.PutManifestAsync("app", "sig", signature)).Is(201);
        Assert.Equal(digest.ToString(), put.Header("OCI-Subject"));
        (await registry.PutManifestAsync("app", "1", image)).Is(201);
        byte[] plain = RegistryUnderTest.Manifest(s_config, [], manifest => manifest["subject"] = subject.DeepClone());
        (await registry.PutManifestAsync("app", Digest.Of(plain).ToString(), plain)).Is(201);

        Answer all = (await registry.GetAsync($"/v2/app/referrers/{digest}")).Is(200);
        Assert.Equal(MediaTypes.OciIndex, all.Header("Content-Type"));
        Assert.Equal(MediaTypes.OciIndex, (string?)all.Json["mediaType"]);
        Assert.Equal(2, (int)all.Json["schemaVersion"]!);
        Dictionary<string, JsonNode> referrers = all.Json["manifests"]!.AsArray().ToDictionary(item => (string)item!["digest"]!, item => item!);
        Assert.Equal(2, referrers.Count);
        JsonNode signed = referrers[Digest.Of(signature).ToString()];
        Assert.Equal(("application/x.signature", "me", signature.Length), ((string?)signed["artifactType"], (string?)signed["annotations"]!["by"], (int)signed["size"]!));
        Assert.Equal(MediaTypes.OciConfig, (string?)referrers[Digest.Of(plain).ToString()]["artifactType"]);

        Answer filtered = (await registry.GetAsync($"/v2/app/referrers/{digest}?artifactType=application/x.signature")).Is(200);
        Assert.Equal("artifactType", filtered.Header("OCI-Filters-Applied"));
        Assert.Equal([Digest.Of(signature).ToString()], filtered.Json["manifests"]!.AsArray().Select(item => (string)item!["digest"]!));

        (await registry.DeleteAsync($"/v2/app/manifests/{Digest.Of(signature)}")).Is(202);
        Assert.Single((await registry.GetAsync($"/v2/app/referrers/{digest}")).Json["manifests"]!.AsArray());
    }

    [Fact]
    public async Task Nothing_referring_is_an_empty_list()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        Assert.Empty((await registry.GetAsync($"/v2/never/referrers/{Digest.Of("x"u8)}")).Is(200).Json["manifests"]!.AsArray());
        (await registry.GetAsync("/v2/app/referrers/sha256:abc")).IsError(400, "DIGEST_INVALID");
    }

    [Fact]
    public async Task Metrics_may_have_an_address_of_their_own()
    {
        using System.Net.Sockets.TcpListener probe = new(System.Net.IPAddress.Loopback, 0);
        probe.Start();
        string address = probe.LocalEndpoint.ToString()!;
        probe.Stop();
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync(configuration => configuration with { Metrics = new() { Listen = address } });
        (await registry.GetAsync("/metrics")).Is(404);
        (await registry.GetAsync($"http://{address}/metrics")).Is(200);
        (await registry.GetAsync($"http://{address}/v2/_catalog")).IsError(405, "UNSUPPORTED");
        (await registry.GetAsync($"http://{address}/")).Is(404);
    }

    [Fact]
    public async Task Metrics_count_and_the_access_log_tells()
    {
        await using RegistryUnderTest registry = await RegistryUnderTest.StartAsync();
        await registry.PushImageAsync("app", "1");
        await registry.GetAsync("/v2/app/manifests/1");
        await registry.GetAsync("/v2/app/manifests/evil%0aline");
        Answer metrics = (await registry.GetAsync("/metrics")).Is(200);
        Assert.StartsWith("text/plain; version=0.0.4", metrics.Header("Content-Type"), StringComparison.Ordinal);
        Assert.Contains("slipway_registry_requests_total{resource=\"manifest\",method=\"GET\",status=\"200\"} 1\n", metrics.Text, StringComparison.Ordinal);
        Assert.Contains("slipway_registry_requests_total{resource=\"manifest\",method=\"GET\",status=\"400\"} 1\n", metrics.Text, StringComparison.Ordinal);
        Assert.Contains("slipway_registry_request_duration_seconds_bucket{resource=\"manifest\",le=\"+Inf\"} 3\n", metrics.Text, StringComparison.Ordinal);
        await registry.RestartAsync();
        string[] lines = System.Text.Encoding.UTF8.GetString(registry.AccessLog.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(lines, line => line.Contains(" - GET /v2/app/manifests/1 200 ", StringComparison.Ordinal));
        Assert.All(lines, line => Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1 - [A-Z]+ \S+ \d{3} \d+ [\d.]+$", line));
    }
}
