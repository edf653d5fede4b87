using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Oci;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution;

/// <summary>Lists: tags, and what refers to a manifest.</summary>
internal sealed partial class RemoteRepository
{
    private const int MostPages = 10_000;
    private const int LargestPage = 16 << 20;

    public async IAsyncEnumerable<string> ListTagsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in PagesAsync($"v2/{name.Path}/tags/list", "the list of tags", ListJson.Default.TagList, cancellationToken).ConfigureAwait(false))
        {
            foreach (var tag in page?.Tags ?? [])
            {
                yield return tag is not null && Reference.IsTag(tag) ? tag : throw new RegistryException(RegistryErrorKind.Invalid, "the list of tags holds something that is no tag");
            }
        }
    }

    public async Task<IReadOnlyList<Descriptor>> ListReferrersAsync(Digest subject, string? artifactType, CancellationToken cancellationToken)
    {
        var filter = artifactType is null ? "" : "?artifactType=" + Uri.EscapeDataString(artifactType);
        List<Descriptor> referrers = [];
        try
        {
            await foreach (var page in PagesAsync($"v2/{name.Path}/referrers/{subject}{filter}", "the list of referrers", OciJson.Default.ImageIndex, cancellationToken).ConfigureAwait(false))
            {
                referrers.AddRange(page?.Manifests ?? []);
                if (referrers.Count > ManifestLimits.Manifests)
                {
                    throw new RegistryException(RegistryErrorKind.Invalid, $"the list of referrers has more than {ManifestLimits.Manifests} entries");
                }
            }
        }
        catch (RegistryException error) when (error.Kind == RegistryErrorKind.NotFound)
        {
            referrers.AddRange(await ReadFallbackTagAsync(subject, cancellationToken).ConfigureAwait(false));
        }

        // A registry that does not filter says nothing about it; filtering twice is harmless.
        return [.. referrers.Where(referrer => artifactType is null || referrer.ArtifactType == artifactType)];
    }

    /// <summary>Registries without the API keep referrers in an index under a tag made of the subject's digest.</summary>
    private async Task<IReadOnlyList<Descriptor>> ReadFallbackTagAsync(Digest subject, CancellationToken cancellationToken)
    {
        try
        {
            var manifest = await GetManifestAsync(FallbackTag(subject), cancellationToken).ConfigureAwait(false);
            return ImageDocument.Parse(manifest.Content.Span) is ImageDocument.OfIndex index ? index.Value.Manifests ?? [] : [];
        }
        catch (RegistryException error) when (error.Kind == RegistryErrorKind.NotFound)
        {
            return [];
        }
    }

    /// <summary>Distribution-spec, "Referrers Tag Schema": at most 32 characters of algorithm and 64 of digits.</summary>
    private static string FallbackTag(Digest subject) => $"{subject.Algorithm}-{subject.Hex[..Math.Min(64, subject.Hex.Length)]}";

    private async IAsyncEnumerable<T?> PagesAsync<T>(
        string path, string what, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        HashSet<Uri> seen = [];
        var request = new RegistryRequest(HttpMethod.Get, path);
        for (var pages = 0; request is not null; pages++)
        {
            if (pages == MostPages || (request.Address is { } address && !seen.Add(address)))
            {
                throw new RegistryException(RegistryErrorKind.Invalid, $"{what} does not end: the registry leads in a circle");
            }

            var (page, next) = await PageAsync(request, what, type, cancellationToken).ConfigureAwait(false);
            yield return page;
            request = next is null ? null : request with { Address = next };
        }
    }

    private async Task<(T? Page, Uri? Next)> PageAsync<T>(
        RegistryRequest request, string what, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var answer = await Registry.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (answer.StatusCode != HttpStatusCode.OK)
        {
            throw Refusal(await ErrorAnswer.ReadAsync(answer, cancellationToken, "NAME_UNKNOWN").ConfigureAwait(false), name);
        }

        try
        {
            var body = await BoundedBody.ReadAsync(answer, LargestPage, what, cancellationToken).ConfigureAwait(false);
            return (JsonSerializer.Deserialize(body, type), NextPage(answer, what));
        }
        catch (JsonException error)
        {
            throw new RegistryException(RegistryErrorKind.Invalid, $"{what} is not valid JSON", error);
        }
        catch (ConnectionException error)
        {
            throw new RegistryException(RegistryErrorKind.Unavailable, $"{what}: {error.Message}", error);
        }
    }

    /// <summary><c>Link: &lt;address&gt;; rel="next"</c> (RFC 8288), on the same host.</summary>
    private static Uri? NextPage(HttpResponseMessage answer, string what)
    {
        var header = answer.Headers.TryGetValues("Link", out var links) ? string.Join(", ", links) : "";
        for (var open = header.IndexOf('<', StringComparison.Ordinal); open >= 0; open = header.IndexOf('<', open + 1))
        {
            var close = header.IndexOf('>', open);
            if (close < 0)
            {
                break;
            }

            var parameters = header.AsSpan(close + 1);
            var following = parameters.IndexOf('<');
            parameters = following < 0 ? parameters : parameters[..following];
            if (parameters.Contains("rel=\"next\"", StringComparison.OrdinalIgnoreCase) || parameters.Contains("rel=next", StringComparison.OrdinalIgnoreCase))
            {
                var here = answer.RequestMessage!.RequestUri!;
                return Uri.TryCreate(here, header[(open + 1)..close], out var address) && RegistryConnection.IsSameOrigin(address, here)
                    ? address
                    : throw new RegistryException(RegistryErrorKind.Invalid, $"{what} goes on at an address that is not of the registry: refused");
            }

            open = close;
        }

        return null;
    }
}

internal sealed record TagList
{
    [JsonPropertyName("tags")]
    public IReadOnlyList<string?>? Tags { get; init; }
}

[JsonSourceGenerationOptions(MaxDepth = 16)]
[JsonSerializable(typeof(TagList))]
internal sealed partial class ListJson : JsonSerializerContext;
