using Slipway.Oci;

namespace Slipway.Registry.Server.Pages;

/// <summary>Writes the pages.</summary>
/// <param name="host">How the reader reaches the registry, for the commands that are shown.</param>
internal sealed class PageWriter(RegistryContent content, string host)
{
    /// <summary>Tags on a page; the manifest of each is read for it.</summary>
    private const int MaximumTags = 500;

    public async Task<string> RepositoriesAsync(IReadOnlyList<RepositoryName> names, string? user, CancellationToken cancellationToken)
    {
        Html page = Begin("Repositories", user);
        List<(RepositoryName Name, int Tags)> shown = [];
        foreach (RepositoryName name in names)
        {
            if (await content.Storage.HasRepositoryAsync(name, cancellationToken))
            {
                shown.Add((name, (await content.Storage.ListTagsAsync(name, cancellationToken)).Count));
            }
        }

        page.Format($"<h1>Repositories</h1><p class=\"lead\">{Readable.Count(shown.Count, "repository", "repositories")} on {host}</p>");
        if (shown.Count == 0)
        {
            page.Format($"<div class=\"card empty-state\"><p>Nothing has been pushed yet.</p><code>docker push {host}/NAME:TAG</code></div>");
            return End(page);
        }

        page.Raw("<ul class=\"card list repositories\">");
        foreach ((RepositoryName name, int tags) in shown)
        {
            page.Format($"<li><a href=\"/-/r/{name}\"><b>{name}</b><span>{Readable.Count(tags, "tag", "tags")}</span></a></li>");
        }

        return End(page.Raw("</ul>"));
    }

    /// <returns>Null where there is no such repository.</returns>
    public async Task<string?> TagsAsync(RepositoryName name, string? user, CancellationToken cancellationToken)
    {
        if (!await content.Storage.HasRepositoryAsync(name, cancellationToken))
        {
            return null;
        }

        IReadOnlyList<string> tags = await content.Storage.ListTagsAsync(name, cancellationToken);
        Html page = Begin(name.ToString(), user);
        page.Format($"<h1>{name}</h1><p class=\"lead\">{Readable.Count(tags.Count, "tag", "tags")}</p>");
        if (tags.Count == 0)
        {
            page.Raw("<div class=\"card empty-state\">No tags: its manifests are reached by digest.</div>");
            return End(page);
        }

        page.Raw("<ul class=\"card list tags\">");
        foreach (string tag in tags.Take(MaximumTags))
        {
            string about = await content.FindManifestAsync(name, tag, cancellationToken) is { } entry ? Summary(entry) : "";
            page.Format($"<li><a href=\"/-/r/{name}:{tag}\"><b>{tag}</b><span>{about}</span></a></li>");
        }

        page.Raw("</ul>");
        if (tags.Count > MaximumTags)
        {
            page.Format($"<p class=\"lead\">and {tags.Count - MaximumTags} more: see /v2/{name}/tags/list</p>");
        }

        return End(page);
    }

    /// <returns>Null where there is no such image.</returns>
    public async Task<string?> ImageAsync(RepositoryName name, string reference, string? user, CancellationToken cancellationToken)
    {
        if (await content.FindManifestAsync(name, reference, cancellationToken) is not { } entry)
        {
            return null;
        }

        bool byDigest = Digest.TryParse(reference, out Digest digest);
        string separator = byDigest ? "@" : ":";
        Html page = Begin($"{name}{separator}{reference}", user);
        page.Format($"<h1><a href=\"/-/r/{name}\">{name}</a><small>{separator}{(byDigest ? digest.Algorithm + ":" + digest.Short : reference)}</small></h1>");
        switch (ManifestDocument.Parse(entry.Content).Document)
        {
            case ImageDocument.OfIndex index:
                Index(page, name, index.Value, entry);
                break;
            case ImageDocument.OfManifest manifest:
                Image(page, await ImageView.LoadAsync(content.Storage, name, entry, manifest.Value, cancellationToken));
                break;
            default:
                throw new InvalidOperationException("a document is a manifest or an index");
        }

        page.Format($"<h2>Pull</h2><pre><code>docker pull {host}/{name}{separator}{reference}</code></pre>");
        Referrers(page, name, await content.ListReferrersAsync(name, entry.Digest, cancellationToken));
        return End(page);
    }

    private static void Index(Html page, RepositoryName name, ImageIndex index, ManifestEntry entry)
    {
        page.Raw("<p class=\"lead\">Several images under one name</p><dl class=\"card facts\">");
        Fact(page, "Digest", entry.DigestText, isCode: true);
        Fact(page, "Type", entry.MediaType, isCode: true);
        page.Raw("</dl><h2>Platforms</h2><ul class=\"card list platforms\">");
        foreach (Descriptor child in index.Manifests ?? [])
        {
            page.Format($"<li><a href=\"/-/r/{name}@{child.Digest}\"><b>{PlatformText(child)}</b><span class=\"mono\">{child.Digest.Short}</span></a></li>");
        }

        page.Raw("</ul>");
    }

    private static void Image(Html page, ImageView image)
    {
        int layers = image.Steps.Count(step => step.Layer is not null);
        page.Format($"<p class=\"lead\">{Readable.Count(layers, "layer", "layers")}, {Readable.Bytes(image.Size)}</p><dl class=\"card facts\">");
        if (image.Config is { } config)
        {
            Fact(page, "Platform", Text(config.Platform));
            Fact(page, "Created", Readable.Day(config.Created));
            Fact(page, "Command", string.Join(' ', (config.Config?.Entrypoint ?? []).Concat(config.Config?.Cmd ?? [])), isCode: true);
            Fact(page, "Working directory", config.Config?.WorkingDir, isCode: true);
            Fact(page, "User", config.Config?.User, isCode: true);
        }

        Fact(page, "Artifact", image.ArtifactType, isCode: true);
        Fact(page, "Digest", image.Manifest.DigestText, isCode: true);
        Fact(page, "Type", image.Manifest.MediaType, isCode: true);
        page.Raw("</dl><h2>Layers</h2><ol class=\"card layers\">");
        long largest = Math.Max(1, image.Steps.Max(step => step.Layer?.Size) ?? 1);
        int number = 0;
        foreach (ImageStep step in image.Steps)
        {
            if (step.Layer is not { } layer)
            {
                page.Format($"<li class=\"empty\"><span></span><code class=\"command\">{step.Command}</code><span></span></li>");
                continue;
            }

            number++;
            page.Format($"<li class=\"layer\"><span class=\"n\">{number}</span><code class=\"command\">{(step.Command.Length > 0 ? step.Command : layer.MediaType)}</code>");
            page.Format($"<span class=\"size\">{Readable.Bytes(layer.Size)}</span><meter min=\"0\" max=\"{largest}\" value=\"{layer.Size}\"></meter>");
            page.Format($"<span class=\"digest mono\">{layer.Digest}</span></li>");
        }

        page.Raw("</ol>");
    }

    private static void Referrers(Html page, RepositoryName name, IReadOnlyList<Descriptor> referrers)
    {
        if (referrers.Count == 0)
        {
            return;
        }

        page.Raw("<h2>About this image</h2><ul class=\"card list referrers\">");
        foreach (Descriptor referrer in referrers)
        {
            page.Format($"<li><a href=\"/-/r/{name}@{referrer.Digest}\"><b>{referrer.ArtifactType ?? referrer.MediaType}</b><span class=\"mono\">{referrer.Digest.Short}</span></a></li>");
        }

        page.Raw("</ul>");
    }

    private static string Summary(ManifestEntry entry) => ManifestDocument.Parse(entry.Content).Document switch
    {
        ImageDocument.OfIndex index => Readable.Count(index.Value.Manifests?.Count ?? 0, "image", "images"),
        ImageDocument.OfManifest manifest => Readable.Bytes((manifest.Value.Layers ?? []).Sum(layer => layer.Size)),
        _ => "",
    };

    private static void Fact(Html page, string name, string? value, bool isCode = false)
    {
        if (value is { Length: > 0 })
        {
            page.Format($"<dt>{name}</dt><dd>").Raw(isCode ? "<code>" : "").Text(value).Raw(isCode ? "</code></dd>" : "</dd>");
        }
    }

    private static string PlatformText(Descriptor child) =>
        child.Annotations?.GetValueOrDefault("vnd.docker.reference.type") is { } type ? type : child.Platform is { } platform ? Text(platform) : child.MediaType;

    private static string Text(Platform platform) =>
        string.Join('/', new[] { platform.Os, platform.Architecture, platform.Variant }.Where(part => !string.IsNullOrEmpty(part)));

    private static Html Begin(string title, string? user)
    {
        Html page = new Html().Format($"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>");
        page.Raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">");
        page.Raw($"<link rel=\"stylesheet\" href=\"{StyleSheet.Path}\"></head><body><header><div>");
        page.Raw("<svg viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\" stroke-linejoin=\"round\" aria-hidden=\"true\">"
            + "<path d=\"M12 3 3 7.5l9 4.5 9-4.5z\"/><path d=\"m3 12 9 4.5 9-4.5\"/><path d=\"m3 16.5 9 4.5 9-4.5\"/></svg><a href=\"/\">Slipway registry</a>");
        return page.Format($"<span>{user}</span></div></header><main>");
    }

    private static string End(Html page) =>
        page.Raw("</main><footer>Sizes are of layers as they are stored and transferred.</footer></body></html>").ToString();
}
