using System.Text.Json;
using Slipway.Build.Solving;
using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Engine.Builds.Exchange;

/// <summary>The caches that a build imports and exports.</summary>
internal sealed class CacheExchange(EngineServices services, BuildRequest request, BuildReport report) : IAsyncDisposable
{
    /// <summary>Of the answer to a client that keeps the index of an exported cache.</summary>
    private const string ManifestKey = "cache.manifest";

    private readonly List<CacheStore> _stores = [];

    /// <summary>The kind of export that is part of the image.</summary>
    public const string Inline = "inline";

    public bool HasInlineExport => request.CacheExports.Any(export => export.Type == Inline);

    /// <summary>Whether there is an exporter of each kind that is asked for, before anything is built.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static void Check(BuildRequest request)
    {
        if (request.CacheExports.FirstOrDefault(export => export.Type is not (Inline or "registry" or "local")) is { } unknown)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"unknown cache exporter: \"{unknown.Type}\"; inline, registry and local are known");
        }
    }

    /// <summary>Reads what is to be imported. A cache that is not there is told, and does no harm.</summary>
    public async Task<IReadOnlyList<ImportedCache>> ImportAsync(CancellationToken cancellationToken)
    {
        List<ImportedCache> caches = [];

        // One of the engine itself is asked anyway.
        foreach (CacheLocation location in request.CacheImports.Where(location => location.Type != "image").DistinctBy(Key))
        {
            try
            {
                caches.Add(await report.InternalAsync($"importing cache manifest from {NameOf(location, "src")}", async _ =>
                {
                    CacheStore store = await OpenAsync(location, RegistryAccess.Pull, "src", cancellationToken);
                    _stores.Add(store);
                    return await ImportedCache.ReadAsync(store, cancellationToken);
                }));
            }
            catch (Exception error) when (error is EngineException or IOException && !cancellationToken.IsCancellationRequested)
            {
                // It was told with the vertex: the build does without.
                services.Log.Write(EngineLogLevel.Debug, "a build cache was not imported", error);
            }
        }

        return caches;
    }

    /// <summary>Exports what is asked for.</summary>
    /// <returns>What the client is to be told.</returns>
    /// <exception cref="EngineException">A cache could not be written, and <c>ignore-error</c> does not say that this does no harm.</exception>
    public async Task<IReadOnlyDictionary<string, string>> ExportAsync(IReadOnlyList<SolvedStep> steps, CancellationToken cancellationToken)
    {
        Dictionary<string, string> answer = [];
        foreach (CacheLocation location in request.CacheExports.Where(export => export.Type != "inline"))
        {
            try
            {
                await report.InternalAsync(location.Type == "local" ? "exporting cache to client directory" : $"exporting cache to {location.Type}", async vertex =>
                {
                    DateTimeOffset started = services.Time.GetUtcNow();
                    await using CacheStore store = await OpenAsync(location, RegistryAccess.Push, "dest", cancellationToken);
                    Descriptor? manifest = await new CacheExport(steps).WriteAsync(
                        store, location.Attributes.GetValueOrDefault("mode") == "max", services.Data.Images, part => report.DoneAsync(vertex, part, started), cancellationToken);
                    if (manifest is not null)
                    {
                        answer[ManifestKey] = JsonSerializer.Serialize(manifest, OciJson.Default.Descriptor);
                    }

                    return true;
                });
            }
            catch (Exception error) when (error is EngineException or IOException && location.Attributes.GetValueOrDefault("ignore-error") == "true")
            {
                services.Log.Write(EngineLogLevel.Debug, "a build cache was not exported", error);
            }
        }

        return answer;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (CacheStore store in _stores)
        {
            await store.DisposeAsync();
        }
    }

    private async Task<CacheStore> OpenAsync(CacheLocation location, RegistryAccess access, string path, CancellationToken cancellationToken)
    {
        string name = NameOf(location, path);
        switch (location.Type)
        {
            case "registry":
                Reference reference = Reference.TryParse(name, out Reference? parsed)
                    ? parsed!.WithDefaultTag() : throw new EngineException(ErrorKind.InvalidParameter, $"failed to parse {name}: invalid reference format");
                RegistryCredentials? credentials = request.Credentials is null ? null : await request.Credentials.ForAsync(reference.Domain, cancellationToken);
                return new RegistryCacheStore(services.Distribution.Open(reference, access, credentials), reference.Digest.IsNone ? reference.Tag! : reference.Digest.ToString());
            case "local":
                IBlobStore blobs = request.Stores?.Find("local:" + name) ?? throw new EngineException(ErrorKind.InvalidParameter, "local cache exporter/importer requires session");
                return new ClientCacheStore(blobs, access == RegistryAccess.Push ? default : DigestOf(location));
            default:
                throw new EngineException(ErrorKind.InvalidParameter, $"unknown cache {(access == RegistryAccess.Push ? "exporter" : "importer")}: \"{location.Type}\"");
        }
    }

    private static Digest DigestOf(CacheLocation location) => location.Attributes.TryGetValue("digest", out string? text) && Digest.TryParse(text, out Digest digest)
        ? digest : throw new EngineException(ErrorKind.InvalidParameter, "local cache importer requires explicit digest");

    private static string NameOf(CacheLocation location, string path) =>
        location.Attributes.GetValueOrDefault(location.Type == "local" ? path : "ref") is { Length: > 0 } name
            ? name : throw new EngineException(ErrorKind.InvalidParameter, $"{location.Type} cache requires {(location.Type == "local" ? path : "ref")}");

    private static string Key(CacheLocation location) => $"{location.Type} {string.Join(' ', location.Attributes.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"))}";
}
