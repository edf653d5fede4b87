using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Slipway.Tests.Harness.Registries;

/// <summary>The registry API by hand (distribution-spec): puts documents that no client would make, and tells what is there.</summary>
public sealed class RegistryHttp(string host, (string User, string Password)? login)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static readonly string[] ManifestTypes =
    [
        "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
    ];

    public static string DigestOf(byte[] content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>The digest under which the registry knows a tag, computed from what it sends.</summary>
    public async Task<string> Digest(string repository, string tag) => DigestOf(await Manifest(repository, tag));

    public async Task<byte[]> Manifest(string repository, string tagOrDigest)
    {
        using var answer = await Send(HttpMethod.Get, $"{repository}/manifests/{tagOrDigest}", null);
        return await answer.Content.ReadAsByteArrayAsync(Cancellation);
    }

    /// <returns>The digest.</returns>
    public async Task<string> PutManifest(string repository, string tagOrDigest, JsonObject manifest)
    {
        var content = Encoding.UTF8.GetBytes(manifest.ToJsonString());
        using var body = new ByteArrayContent(content);
        body.Headers.ContentType = new MediaTypeHeaderValue((string)manifest["mediaType"]!);
        using var answer = await Send(HttpMethod.Put, $"{repository}/manifests/{tagOrDigest}", body);
        return DigestOf(content);
    }

    /// <summary>Puts a blob; a descriptor of it.</summary>
    public async Task<JsonObject> PutBlob(string repository, byte[] content, string mediaType)
    {
        var digest = DigestOf(content);
        using var started = await Send(HttpMethod.Post, $"{repository}/blobs/uploads/", new ByteArrayContent([]));
        var location = new Uri(new Uri($"http://{host}"), started.Headers.Location!).ToString();
        var place = location + (location.Contains('?', StringComparison.Ordinal) ? '&' : '?') + "digest=" + Uri.EscapeDataString(digest);
        using var body = new ByteArrayContent(content);
        body.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var put = await SendTo(HttpMethod.Put, new Uri(place), body);
        return new JsonObject { ["mediaType"] = mediaType, ["digest"] = digest, ["size"] = content.Length };
    }

    /// <summary>An image of the given layers, one file or more each, compressed or not by their type.</summary>
    /// <param name="layers">The tar of a layer, and the blob made of it.</param>
    /// <returns>The manifest's digest and its size.</returns>
    public async Task<JsonObject> PutImage(
        string repository, string? tag, IReadOnlyList<RegistryLayer> layers, string architecture = "amd64", string? variant = null, Action<JsonObject>? change = null)
    {
        var config = new JsonObject
        {
            ["architecture"] = architecture,
            ["os"] = "linux",
            ["config"] = new JsonObject { ["Cmd"] = new JsonArray("/bin/sh") },
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray([.. layers.Select(layer => (JsonNode)layer.DiffId)]) },
        };
        if (variant is not null)
        {
            config["variant"] = variant;
        }
        change?.Invoke(config);
        var descriptors = new JsonArray();
        foreach (var layer in layers)
        {
            descriptors.Add(await PutBlob(repository, layer.Blob, layer.MediaType));
        }
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = "application/vnd.oci.image.manifest.v1+json",
            ["config"] = await PutBlob(repository, Encoding.UTF8.GetBytes(config.ToJsonString()), "application/vnd.oci.image.config.v1+json"),
            ["layers"] = descriptors,
        };
        var digest = DigestOf(Encoding.UTF8.GetBytes(manifest.ToJsonString()));
        await PutManifest(repository, tag ?? digest, manifest);
        var platform = new JsonObject { ["architecture"] = architecture, ["os"] = "linux" };
        if (variant is not null)
        {
            platform["variant"] = variant;
        }
        return new JsonObject
        {
            ["mediaType"] = (string)manifest["mediaType"]!,
            ["digest"] = digest,
            ["size"] = Encoding.UTF8.GetByteCount(manifest.ToJsonString()),
            ["platform"] = platform,
        };
    }

    /// <returns>The index's digest.</returns>
    public Task<string> PutIndex(string repository, string tag, params JsonObject[] manifests) => PutManifest(repository, tag, new JsonObject
    {
        ["schemaVersion"] = 2,
        ["mediaType"] = "application/vnd.oci.image.index.v1+json",
        ["manifests"] = new JsonArray([.. manifests]),
    });

    private Task<HttpResponseMessage> Send(HttpMethod method, string path, HttpContent? body) => SendTo(method, new Uri($"http://{host}/v2/{path}"), body);

    private async Task<HttpResponseMessage> SendTo(HttpMethod method, Uri address, HttpContent? body)
    {
        using var client = new HttpClient { Timeout = Programs.Limit(60) };
        using var request = new HttpRequestMessage(method, address) { Content = body };
        foreach (var type in ManifestTypes)
        {
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(type));
        }
        if (login is var (user, password))
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}")));
        }
        var answer = await client.SendAsync(request, Cancellation);
        Assert.True(answer.IsSuccessStatusCode, $"{method} {address}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(Cancellation)}");
        return answer;
    }
}
