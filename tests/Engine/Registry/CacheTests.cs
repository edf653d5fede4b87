using System.Security.Cryptography;
using System.Text;
using Slipway.Oci;
using Slipway.Registry.Server;
using Xunit;

namespace Slipway.Tests.Engine.Registry;

/// <summary>A registry as the cache of another one, which is a registry of ours as well.</summary>
public sealed class CacheTests
{
    private static Task<RegistryUnderTest> StartCacheAsync(RegistryUnderTest upstream, string? username = null, string tagLifetime = "1h") => RegistryUnderTest.StartAsync(configuration =>
    {
        string password = Path.Combine(configuration.Root!, "password");
        File.WriteAllText(password, "wonderland\n");
        return configuration with
        {
            Cache = new CacheConfiguration { Upstream = upstream.EndPoint.ToString(), Username = username ?? "", PasswordFile = password, TagLifetime = tagLifetime },
        };
    });

    /// <summary>How often the upstream was asked for something.</summary>
    private static async Task<int> CountAsync(RegistryUnderTest upstream, string path)
    {
        await upstream.RestartAsync();
        return Encoding.UTF8.GetString(upstream.AccessLog.ToArray()).Split('\n').Count(line => line.Contains($" GET {path} 200 ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_not_here_is_fetched_once_and_kept()
    {
        await using RegistryUnderTest upstream = await RegistryUnderTest.StartAsync();
        byte[] manifest = await upstream.PushImageAsync("team/app", "v1");
        await using RegistryUnderTest cache = await StartCacheAsync(upstream);
        string blob = $"/v2/team/app/blobs/{Digest.Of("layer"u8)}";
        (await cache.GetAsync(blob)).IsError(404, "BLOB_UNKNOWN"); // no manifest here names it yet
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(manifest, (await cache.GetAsync("/v2/team/app/manifests/v1")).Is(200).Body);
            Assert.Equal("5", (await cache.HeadAsync(blob)).Is(200).Header("Content-Length"));
            Assert.Equal("layer", (await cache.GetAsync(blob)).Is(200).Text);
        }

        (await cache.GetAsync("/v2/team/app/manifests/v2")).IsError(404, "MANIFEST_UNKNOWN");
        (await cache.SendAsync(HttpMethod.Post, "/v2/team/app/blobs/uploads/")).IsError(405, "UNSUPPORTED");
        Assert.Equal(1, await CountAsync(upstream, blob));
        Assert.Equal(1, await CountAsync(upstream, $"/v2/team/app/manifests/{Digest.Of(manifest)}"));
    }

    [Fact]
    public async Task Concurrent_pulls_share_one_fetch()
    {
        await using RegistryUnderTest upstream = await RegistryUnderTest.StartAsync();
        string layer = Convert.ToHexString(RandomNumberGenerator.GetBytes(4_000_000));
        await upstream.PushImageAsync("app", "v1", layer);
        await using RegistryUnderTest cache = await StartCacheAsync(upstream);
        string blob = $"/v2/app/blobs/{Digest.Of(Encoding.ASCII.GetBytes(layer))}";
        (await cache.GetAsync("/v2/app/manifests/v1")).Is(200);
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => cache.GetAsync(blob)));
        Assert.All(answers, answer => Assert.Equal(layer, answer.Is(200).Text));
        Assert.Equal(1, await CountAsync(upstream, blob));
    }

    [Fact]
    public async Task A_tag_that_moves_is_followed_and_a_silent_upstream_survived()
    {
        RegistryUnderTest upstream = await RegistryUnderTest.StartAsync();
        byte[] first = await upstream.PushImageAsync("app", "latest", "one");
        await using RegistryUnderTest cache = await StartCacheAsync(upstream, tagLifetime: "0");
        Assert.Equal(first, (await cache.GetAsync("/v2/app/manifests/latest")).Is(200).Body);
        byte[] second = await upstream.PushImageAsync("app", "latest", "two");
        Assert.Equal(second, (await cache.GetAsync("/v2/app/manifests/latest")).Is(200).Body);
        await upstream.DisposeAsync();
        Assert.Equal(second, (await cache.GetAsync("/v2/app/manifests/latest")).Is(200).Body);
        (await cache.GetAsync("/v2/app/manifests/other")).IsError(502, "UNAVAILABLE");
    }

    /// <summary>The upstream sees the configured user, whatever a client of the cache sends.</summary>
    [Fact]
    public async Task CVE_2026_33540_the_upstream_gets_the_configured_credentials_and_never_those_of_a_client()
    {
        await using RegistryUnderTest upstream = await RegistryUnderTest.StartAsync(configuration => configuration with
        {
            Auth = new AuthConfiguration { Htpasswd = AccessTests.WriteUsers(configuration.Root!), Rules = [AccessTests.Rule("**", "alice", "*"), AccessTests.Rule("bobs", "bob", "*")] },
        });
        byte[] config = "{}"u8.ToArray();
        foreach (string name in new[] { "app", "bobs" })
        {
            (await upstream.SendAsync(HttpMethod.Post, $"/v2/{name}/blobs/uploads/?digest={Digest.Of(config)}", config, AccessTests.As("alice", "wonderland"))).Is(201);
            (await upstream.SendAsync(HttpMethod.Put, $"/v2/{name}/manifests/v1", RegistryUnderTest.Manifest(config, []), AccessTests.As("alice", "wonderland"))).Is(201);
        }

        await using RegistryUnderTest cache = await StartCacheAsync(upstream, "alice");
        (await cache.GetAsync("/v2/app/manifests/v1")).Is(200);
        await using RegistryUnderTest nobody = await StartCacheAsync(upstream);
        (await nobody.SendAsync(HttpMethod.Get, "/v2/bobs/manifests/v1", null, AccessTests.As("bob", "builder"))).IsError(502, "UNAVAILABLE");
        await upstream.RestartAsync();
        string log = Encoding.UTF8.GetString(upstream.AccessLog.ToArray());
        Assert.Contains(" alice GET /v2/app/manifests/", log, StringComparison.Ordinal);
        Assert.DoesNotContain(" bob ", log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_blob_that_is_not_what_its_digest_says_is_not_passed_on()
    {
        await using RegistryUnderTest upstream = await RegistryUnderTest.StartAsync();
        await upstream.PushImageAsync("app", "v1", "layer");
        string file = Path.Combine(upstream.Root, "repositories", "app", "blobs", Digest.Of("layer"u8).ToString());
        await File.WriteAllTextAsync(file, "LAYER", TestContext.Current.CancellationToken);
        await using RegistryUnderTest cache = await StartCacheAsync(upstream);
        (await cache.GetAsync("/v2/app/manifests/v1")).Is(200);
        (await cache.GetAsync($"/v2/app/blobs/{Digest.Of("layer"u8)}")).IsError(502, "UNAVAILABLE");
        Assert.Empty(Directory.GetFiles(Path.Combine(cache.Root, "blobs")));
        Assert.Empty(Directory.GetFiles(Path.Combine(cache.Root, "uploads"), "*", SearchOption.AllDirectories));
    }

    /// <summary>A large one is passed on while it comes in; its last byte waits for the digest of the whole.</summary>
    [Fact]
    public async Task A_large_blob_that_is_not_what_its_digest_says_is_cut_off_or_refused()
    {
        await using RegistryUnderTest upstream = await RegistryUnderTest.StartAsync();
        string layer = Convert.ToHexString(RandomNumberGenerator.GetBytes(2_000_000));
        Digest digest = Digest.Of(Encoding.ASCII.GetBytes(layer));
        await upstream.PushImageAsync("app", "v1", layer);
        string file = Path.Combine(upstream.Root, "repositories", "app", "blobs", digest.ToString());
        await File.WriteAllTextAsync(file, "x" + layer[1..], TestContext.Current.CancellationToken);
        await using RegistryUnderTest cache = await StartCacheAsync(upstream);
        (await cache.GetAsync("/v2/app/manifests/v1")).Is(200);

        // Which of the two depends on whether the answer had begun when the last byte came.
        int? refusal = null;
        try
        {
            refusal = (await cache.GetAsync($"/v2/app/blobs/{digest}")).Status;
        }
        catch (HttpRequestException)
        {
            // Cut off.
        }

        Assert.True(refusal is null or 502, $"answered {refusal}");
        Assert.Empty(Directory.GetFiles(Path.Combine(cache.Root, "blobs")));

        await File.WriteAllTextAsync(file, layer, TestContext.Current.CancellationToken);
        Assert.Equal(layer[100..200], (await cache.GetAsync($"/v2/app/blobs/{digest}", ("Range", "bytes=100-199"))).Is(206).Text);
        Assert.Equal(layer, (await cache.GetAsync($"/v2/app/blobs/{digest}")).Is(200).Text);
    }
}
