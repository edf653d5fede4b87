using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Endpoints;

namespace Slipway.Registry.Server.Http;

/// <summary>Finds what a request is for, lets it in or not, and hands it to its endpoint.</summary>
internal sealed class RegistryRouter
{
    private readonly AccessControl _access;
    private readonly Dictionary<(RegistryResource, string), Endpoint> _endpoints;
    private readonly IReadOnlyList<IPage> _pages;
    private readonly bool _readOnly;

    /// <param name="readOnly">Nothing can be pushed or deleted.</param>
    public RegistryRouter(
        AccessControl access, ManifestEndpoints manifests, BlobEndpoints blobs, UploadEndpoints uploads, ListEndpoints lists, IReadOnlyList<IPage> pages, bool readOnly)
    {
        (_access, _readOnly, _pages) = (access, readOnly, pages);
        _endpoints = new()
        {
            [(RegistryResource.Base, "GET")] = new(Rights.None, _ => Task.CompletedTask),
            [(RegistryResource.Catalog, "GET")] = new(Rights.None, lists.CatalogAsync),
            [(RegistryResource.Tags, "GET")] = new(Rights.Pull, lists.TagsAsync),
            [(RegistryResource.Referrers, "GET")] = new(Rights.Pull, lists.ReferrersAsync),
            [(RegistryResource.Manifest, "GET")] = new(Rights.Pull, manifests.GetAsync),
            [(RegistryResource.Manifest, "PUT")] = new(Rights.Pull | Rights.Push, manifests.PutAsync),
            [(RegistryResource.Manifest, "DELETE")] = new(Rights.Delete, manifests.DeleteAsync),
            [(RegistryResource.Blob, "HEAD")] = new(Rights.Pull, blobs.HeadAsync),
            [(RegistryResource.Blob, "GET")] = new(Rights.Pull, blobs.GetAsync),
            [(RegistryResource.Blob, "DELETE")] = new(Rights.Delete, blobs.DeleteAsync),
            [(RegistryResource.Uploads, "POST")] = new(Rights.Pull | Rights.Push, uploads.PostAsync),
            [(RegistryResource.Upload, "PATCH")] = new(Rights.Pull | Rights.Push, uploads.PatchAsync),
            [(RegistryResource.Upload, "PUT")] = new(Rights.Pull | Rights.Push, uploads.PutAsync),
            [(RegistryResource.Upload, "GET")] = new(Rights.Pull | Rights.Push, uploads.GetAsync),
            [(RegistryResource.Upload, "DELETE")] = new(Rights.Pull | Rights.Push, uploads.DeleteAsync),
        };
    }

    private RegistryRouter(AccessControl access, IReadOnlyList<IPage> pages) => (_access, _endpoints, _pages) = (access, [], pages);

    /// <summary>Nothing but these pages.</summary>
    public RegistryRouter WithPages(IReadOnlyList<IPage> pages) => new(_access, pages);

    public async Task HandleAsync(HttpContext context, RequestOutcome outcome)
    {
        // Kestrel decodes all but %2F, which some clients send in names.
        string path = (context.Request.Path.Value ?? "/").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        RegistryPath parsed = RegistryPath.Parse(path);
        outcome.Resource = parsed.Resource;
        if (parsed.Resource == RegistryResource.None)
        {
            await HandlePageAsync(context, path, outcome);
            return;
        }

        context.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        Endpoint endpoint = Find(parsed.Resource, context.Request.Method);
        RepositoryName repository = default;
        bool named = parsed.Resource is not (RegistryResource.Base or RegistryResource.Catalog);
        if (named && !RepositoryName.TryParse(parsed.Name.ToString(), out repository))
        {
            throw RegistryError.NameInvalid();
        }

        string reference = parsed.Reference.ToString();
        AccessRequest access = new(named ? repository : null, endpoint.Rights);
        Caller caller = await AuthorizeAsync(context, access, parsed.Resource, outcome);
        if (_readOnly && (endpoint.Rights & (Rights.Push | Rights.Delete)) != 0)
        {
            throw RegistryError.Unsupported("this registry is read-only");
        }

        await endpoint.Handler(new RegistryRequest(context, repository, reference, caller));
    }

    private Endpoint Find(RegistryResource resource, string method)
    {
        // HEAD is GET without a body, where it has no endpoint of its own.
        return _endpoints.TryGetValue((resource, method), out Endpoint? endpoint)
            || (HttpMethods.IsHead(method) && _endpoints.TryGetValue((resource, "GET"), out endpoint))
            ? endpoint : throw RegistryError.Unsupported($"{method} is not supported here");
    }

    /// <summary>Without rights: 401 and how to say who one is; 403 for one that has said so and cannot say it better.</summary>
    private async ValueTask<Caller> AuthorizeAsync(HttpContext context, AccessRequest access, RegistryResource resource, RequestOutcome outcome)
    {
        Caller? caller = await _access.Requests.IdentifyAsync(context, context.RequestAborted);
        outcome.User = caller?.Name;
        if (caller is not null
            && (access.Repository is { } repository ? caller.May(access.Rights, repository) : caller.Name is not null || _access.Requests.AdmitsAnonymous(resource)))
        {
            return caller;
        }

        bool known = caller?.Name is not null;
        bool isBasic = context.Request.Headers.Authorization.ToString().StartsWith("Basic ", StringComparison.OrdinalIgnoreCase);
        if ((known && isBasic) || _access.Requests.Challenge(context, access) is not { } challenge)
        {
            throw RegistryError.Denied();
        }

        // A token that does not reach so far: the client may ask for one that does.
        context.Response.Headers.WWWAuthenticate = challenge;
        throw known ? RegistryError.Insufficient() : RegistryError.Unauthorized();
    }

    private async Task HandlePageAsync(HttpContext context, string path, RequestOutcome outcome)
    {
        IPage page = _pages.FirstOrDefault(page => page.Matches(context.Request.Method, path)) ?? throw RegistryError.PageNotFound();
        Caller? caller = page.IsPublic ? null : await _access.Pages.IdentifyAsync(context, context.RequestAborted);
        outcome.User = caller?.Name;
        if (!page.IsPublic && (caller is null || !page.Admits(caller, path)))
        {
            if (caller?.Name is null && _access.Pages.Challenge(context, default) is { } challenge)
            {
                context.Response.Headers.WWWAuthenticate = challenge;
                throw RegistryError.Unauthorized();
            }

            throw RegistryError.Denied();
        }

        await page.AnswerAsync(context, path, caller);
    }

    private sealed record Endpoint(Rights Rights, Func<RegistryRequest, Task> Handler);
}
