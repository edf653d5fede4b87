using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Oci;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Pages;

/// <summary>
/// What people see with a browser: <c>/</c> lists repositories, <c>/-/r/NAME</c> the tags of one, <c>/-/r/NAME:TAG</c> and
/// <c>/-/r/NAME@DIGEST</c> an image. Written by the server, without scripts; what a caller may not pull is not shown.
/// </summary>
internal sealed class BrowserPage(RegistryContent content, IAccessControl access) : IPage
{
    private const string Prefix = "/-/r/";

    public bool IsPublic => false;

    public bool Matches(string method, string path) =>
        (HttpMethods.IsGet(method) || HttpMethods.IsHead(method)) && (path is "/" or StyleSheet.Path || path.StartsWith(Prefix, StringComparison.Ordinal));

    /// <summary>The list holds what its reader may pull; where nothing is open to all, a reader says first who he is.</summary>
    public bool Admits(Caller caller, string path) => caller.Name is not null || path switch
    {
        StyleSheet.Path => true,
        "/" => access.AdmitsAnonymous(RegistryResource.Catalog),
        _ => Locate(path) is var (name, _) && caller.May(Rights.Pull, name),
    };

    public async Task AnswerAsync(HttpContext context, string path, Caller? caller)
    {
        if (path == StyleSheet.Path)
        {
            await WriteAsync(context, StyleSheet.Text, "text/css; charset=utf-8");
            return;
        }

        PageWriter page = new(content, $"{context.Request.Host}");
        string html;
        if (path == "/")
        {
            html = await page.RepositoriesAsync([.. VisibleTo(caller!)], caller!.Name, context.RequestAborted);
        }
        else
        {
            // What may not be seen is not there.
            if (Locate(path) is not var (name, reference) || !caller!.May(Rights.Pull, name))
            {
                throw RegistryError.PageNotFound();
            }

            html = (reference is null
                ? await page.TagsAsync(name, caller.Name, context.RequestAborted)
                : await page.ImageAsync(name, reference, caller.Name, context.RequestAborted)) ?? throw RegistryError.PageNotFound();
        }

        await WriteAsync(context, html, "text/html; charset=utf-8");
    }

    private IEnumerable<RepositoryName> VisibleTo(Caller caller) => content.Storage.EnumerateRepositories().Where(name => caller.May(Rights.Pull, name)).Order();

    /// <returns>Null where the path names no repository.</returns>
    private static (RepositoryName Name, string? Reference)? Locate(string path)
    {
        string text = path[Prefix.Length..];
        int at = text.IndexOf('@', StringComparison.Ordinal);
        int end = at >= 0 ? at : text.IndexOf(':', StringComparison.Ordinal);
        string? reference = end < 0 ? null : text[(end + 1)..];
        bool isReference = reference is null || (at >= 0 ? Digest.TryParse(reference, out _) : Reference.IsTag(reference));
        return RepositoryName.TryParse(end < 0 ? text : text[..end], out RepositoryName name) && isReference ? (name, reference) : null;
    }

    private static async Task WriteAsync(HttpContext context, string text, string contentType)
    {
        byte[] body = Encoding.UTF8.GetBytes(text);
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
        }
    }
}
