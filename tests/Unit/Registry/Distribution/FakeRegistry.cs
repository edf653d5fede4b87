using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Slipway.Oci;
using Xunit;

namespace Slipway.Tests.Unit.Registry.Distribution;

/// <summary>What a registry was asked.</summary>
internal sealed record Asked(string Method, string Path, string Query, string? Authorization, string? Range, string? IfRange, string Body, X509Certificate2? Client)
{
    public string Line => $"{Method} {Path}{Query}";
}

/// <summary>A small registry over HTTP on a loopback port. A test makes it lie by answering requests in its place.</summary>
internal sealed class FakeRegistry : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeRegistry(WebApplication app) => _app = app;

    /// <summary>Looks at every request first; true: it has answered.</summary>
    public Func<HttpContext, Task<bool>>? Answer { get; set; }

    public ConcurrentQueue<Asked> Requests { get; } = new();

    public ConcurrentDictionary<string, byte[]> Blobs { get; } = new();

    /// <summary>By <c>repository:tag</c> or <c>repository:digest</c>.</summary>
    public ConcurrentDictionary<string, (string Type, byte[] Content)> Manifests { get; } = new();

    /// <summary>Begun uploads.</summary>
    public ConcurrentDictionary<string, MemoryStream> Uploads { get; } = new();

    public bool HasRanges { get; set; } = true;

    public int Port { get; private set; }

    public string Host => $"127.0.0.1:{Port}";

    public Reference Name(string repository = "app/one") => Reference.Parse($"{Host}/{repository}");

    public IReadOnlyList<string> Lines => [.. Requests.Select(request => request.Line)];

    /// <param name="certificate">TLS, with this certificate.</param>
    /// <param name="askForClient">Whether the client is asked for a certificate; any will do.</param>
    public static async Task<FakeRegistry> StartAsync(X509Certificate2? certificate = null, bool askForClient = false)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = certificate is null ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2;
                if (certificate is not null)
                {
                    listen.UseHttps(https =>
                    {
                        https.ServerCertificate = certificate;
                        https.ClientCertificateMode = askForClient ? ClientCertificateMode.AllowCertificate : ClientCertificateMode.NoCertificate;
                        https.AllowAnyClientCertificate();
                    });
                }
            });
        });
        var app = builder.Build();
        var registry = new FakeRegistry(app);
        app.Run(registry.HandleAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        registry.Port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;
        return registry;
    }

    public Descriptor AddBlob(byte[] content, string type = MediaTypes.OciLayerGzip)
    {
        var descriptor = new Descriptor { MediaType = type, Digest = Digest.Of(content), Size = content.Length };
        Blobs[descriptor.Digest.ToString()] = content;
        return descriptor;
    }

    public Descriptor AddManifest(string repository, string tag, byte[] content, string type = MediaTypes.OciManifest)
    {
        var descriptor = new Descriptor { MediaType = type, Digest = Digest.Of(content), Size = content.Length };
        Manifests[$"{repository}:{tag}"] = Manifests[$"{repository}:{descriptor.Digest}"] = (type, content);
        return descriptor;
    }

    /// <summary>Answers with a status and a body, as a registry refuses.</summary>
    public static async Task<bool> RefuseAsync(HttpContext context, int status, string? code = null, string message = "")
    {
        context.Response.StatusCode = status;
        if (code is not null && context.Request.Method != "HEAD")
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(JsonSerializer.Serialize(new { errors = new[] { new { code, message } } }));
        }

        return true;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(new CancellationToken(canceled: true));
        await _app.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext context)
    {
        var request = context.Request;
        var isForm = request.ContentType?.StartsWith("application/x-www-form", StringComparison.Ordinal) ?? false;
        var body = "";
        if (isForm)
        {
            using var reader = new StreamReader(request.Body, Encoding.UTF8);
            body = await reader.ReadToEndAsync();
        }

        Requests.Enqueue(new Asked(
            request.Method, request.Path, request.QueryString.Value ?? "", request.Headers.Authorization, request.Headers.Range, request.Headers.IfRange, body, context.Connection.ClientCertificate));
        if (Answer is { } answer && await answer(context))
        {
            return;
        }

        var path = request.Path.Value!;
        if (path == "/v2/")
        {
            return;
        }

        await (Split(path) switch
        {
            (_, "blobs/uploads", var session) => UploadAsync(context, session),
            (_, "blobs", var digest) => BlobAsync(context, digest),
            (var repository, "manifests", var reference) => ManifestAsync(context, repository, reference),
            _ => RefuseAsync(context, 404),
        });
    }

    private static (string Repository, string Kind, string Item) Split(string path)
    {
        foreach (var kind in new[] { "blobs/uploads", "blobs", "manifests" })
        {
            var at = path.IndexOf($"/{kind}/", StringComparison.Ordinal);
            if (at > 0)
            {
                return (path["/v2/".Length..at], kind, path[(at + kind.Length + 2)..]);
            }
        }

        return ("", "", "");
    }

    private async Task ManifestAsync(HttpContext context, string repository, string reference)
    {
        if (context.Request.Method == "PUT")
        {
            using var content = new MemoryStream();
            await context.Request.Body.CopyToAsync(content);
            var put = AddManifest(repository, reference, content.ToArray(), context.Request.ContentType!);
            context.Response.StatusCode = 201;
            context.Response.Headers["Docker-Content-Digest"] = put.Digest.ToString();
            return;
        }

        if (!Manifests.TryGetValue($"{repository}:{reference}", out var manifest))
        {
            await RefuseAsync(context, 404, "MANIFEST_UNKNOWN", "manifest unknown");
            return;
        }

        context.Response.ContentType = manifest.Type;
        context.Response.ContentLength = manifest.Content.Length;
        context.Response.Headers["Docker-Content-Digest"] = Digest.Of(manifest.Content).ToString();
        if (context.Request.Method == "GET")
        {
            await context.Response.Body.WriteAsync(manifest.Content);
        }
    }

    private async Task BlobAsync(HttpContext context, string digest)
    {
        if (!Blobs.TryGetValue(digest, out var blob))
        {
            await RefuseAsync(context, 404, "BLOB_UNKNOWN", "blob unknown to registry");
            return;
        }

        var start = 0;
        if (HasRanges && context.Request.GetTypedHeaders().Range is { } range)
        {
            start = (int)range.Ranges.First().From!.Value;
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {start}-{blob.Length - 1}/{blob.Length}";
        }

        context.Response.ContentLength = blob.Length - start;
        if (context.Request.Method == "GET")
        {
            await context.Response.Body.WriteAsync(blob.AsMemory(start));
        }
    }

    private async Task UploadAsync(HttpContext context, string session)
    {
        var (request, response) = (context.Request, context.Response);
        if (request.Method == "POST")
        {
            if (request.Query["mount"].ToString() is { Length: > 0 } mount && Blobs.ContainsKey(mount) && request.Query["from"] == "app/source")
            {
                response.StatusCode = 201;
                return;
            }

            session = $"session{Uploads.Count}";
            Uploads[session] = new MemoryStream();
            (response.StatusCode, response.Headers.Location) = (202, $"{request.Path}{session}?state=first");
            return;
        }

        if (!Uploads.TryGetValue(session, out var upload))
        {
            await RefuseAsync(context, 404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
            return;
        }

        try
        {
            await request.Body.CopyToAsync(upload);
        }
        catch (IOException)
        {
            return;
        }

        response.Headers.Range = $"0-{Math.Max(0, upload.Length - 1)}";
        response.Headers.Location = request.GetEncodedPathAndQuery();
        response.StatusCode = request.Method switch { "PATCH" => 202, "GET" => 204, _ => 201 };
        if (request.Method == "PUT")
        {
            var digest = Digest.Of(upload.ToArray()).ToString();
            if (digest != request.Query["digest"])
            {
                await RefuseAsync(context, 400, "DIGEST_INVALID", "provided digest did not match uploaded content");
                return;
            }

            Blobs[digest] = upload.ToArray();
        }
    }
}
