using System.Globalization;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Endpoints;

/// <summary>Tags, referrers and the catalog (distribution-spec, "Content Discovery"; Docker Registry HTTP API v2, "Catalog").</summary>
internal sealed class ListEndpoints(RegistryContent content)
{
    private const int MaximumPage = 10_000;
    private const int CatalogPage = 100;

    public async Task TagsAsync(RegistryRequest request)
    {
        if (!await content.Storage.HasRepositoryAsync(request.Repository, request.Aborted))
        {
            throw RegistryError.NameUnknown(request.Repository);
        }

        IReadOnlyList<string> tags = await content.Storage.ListTagsAsync(request.Repository, request.Aborted);
        List<string> page = Page(request, tags, MaximumPage, $"/v2/{request.Repository}/tags/list");
        await JsonAnswer.WriteAsync(request.Response, new TagList(request.Repository.ToString(), page), RegistryJson.Default.TagList, request.Aborted);
    }

    /// <summary>Repositories the caller may pull from; who may administer sees all.</summary>
    public async Task CatalogAsync(RegistryRequest request)
    {
        IEnumerable<RepositoryName> names = await content.Storage.ListRepositoriesAsync(request.Aborted);
        List<string> visible = [.. names.Where(name => request.Caller.MayAdminister || request.Caller.May(Rights.Pull, name)).Select(name => name.ToString())];
        await JsonAnswer.WriteAsync(
            request.Response, new Catalog(Page(request, visible, CatalogPage, "/v2/_catalog")), RegistryJson.Default.Catalog, request.Aborted);
    }

    public async Task ReferrersAsync(RegistryRequest request)
    {
        Digest subject = request.RequireDigest();
        IReadOnlyList<Descriptor> referrers = await content.ListReferrersAsync(request.Repository, subject, request.Aborted);
        if (request.Query("artifactType") is { Length: > 0 } type)
        {
            referrers = [.. referrers.Where(referrer => referrer.ArtifactType == type)];
            request.Response.Headers["OCI-Filters-Applied"] = "artifactType";
        }

        await JsonAnswer.WriteAsync(
            request.Response, new ReferrerList(2, MediaTypes.OciIndex, referrers), RegistryJson.Default.ReferrerList, request.Aborted, MediaTypes.OciIndex);
    }

    /// <summary>The part of a sorted list that <c>n</c> and <c>last</c> ask for, and a Link to the rest (RFC 8288).</summary>
    private static List<string> Page(RegistryRequest request, IReadOnlyList<string> all, int usual, string path)
    {
        int count = usual;
        if (request.Query("n") is { } n && (!int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out count) || count < 0))
        {
            throw RegistryError.PageInvalid("n must be a number, 0 or more");
        }

        count = Math.Min(count, MaximumPage);
        int start = request.Query("last") is { Length: > 0 } last ? FirstAfter(all, last) : 0;
        List<string> page = [.. all.Skip(start).Take(count)];
        if (page.Count > 0 && start + page.Count < all.Count)
        {
            request.Response.Headers.Link = string.Create(
                CultureInfo.InvariantCulture, $"<{path}?n={count}&last={Uri.EscapeDataString(page[^1])}>; rel=\"next\"");
        }

        return page;
    }

    private static int FirstAfter(IReadOnlyList<string> all, string last)
    {
        int low = 0;
        for (int high = all.Count; low < high;)
        {
            int middle = (low + high) / 2;
            if (string.CompareOrdinal(all[middle], last) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
