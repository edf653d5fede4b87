namespace Slipway.Registry.Server.Http;

/// <summary>What a path of the API addresses (distribution-spec, "Endpoints").</summary>
internal enum RegistryResource
{
    /// <summary>Not of the API.</summary>
    None,

    /// <summary><c>/v2/</c>.</summary>
    Base,

    /// <summary><c>/v2/_catalog</c>.</summary>
    Catalog,

    /// <summary><c>/v2/NAME/tags/list</c>.</summary>
    Tags,

    /// <summary><c>/v2/NAME/manifests/REFERENCE</c>.</summary>
    Manifest,

    /// <summary><c>/v2/NAME/blobs/DIGEST</c>.</summary>
    Blob,

    /// <summary><c>/v2/NAME/blobs/uploads/</c>.</summary>
    Uploads,

    /// <summary><c>/v2/NAME/blobs/uploads/UUID</c>.</summary>
    Upload,

    /// <summary><c>/v2/NAME/referrers/DIGEST</c>.</summary>
    Referrers,
}

/// <summary>
/// A path taken apart. Names hold slashes and may hold the words of the API, so it is read from its end: the last words
/// say what is meant, and what stands before them is the name.
/// </summary>
internal readonly ref struct RegistryPath
{
    private const string Prefix = "/v2/";

    private RegistryPath(RegistryResource resource, ReadOnlySpan<char> name, ReadOnlySpan<char> reference)
    {
        Resource = resource;
        Name = name;
        Reference = reference;
    }

    public RegistryResource Resource { get; }

    /// <summary>The repository's name, not validated.</summary>
    public ReadOnlySpan<char> Name { get; }

    /// <summary>Tag, digest or UUID, not validated.</summary>
    public ReadOnlySpan<char> Reference { get; }

    public static RegistryPath Parse(ReadOnlySpan<char> path)
    {
        if (path is "/v2" or Prefix)
        {
            return new RegistryPath(RegistryResource.Base, default, default);
        }

        if (!path.StartsWith(Prefix))
        {
            return default;
        }

        ReadOnlySpan<char> rest = path[Prefix.Length..];
        if (rest is "_catalog")
        {
            return new RegistryPath(RegistryResource.Catalog, default, default);
        }

        if (rest.EndsWith("/blobs/uploads/") || rest.EndsWith("/blobs/uploads"))
        {
            return new RegistryPath(RegistryResource.Uploads, rest[..rest.LastIndexOf("/blobs/")], default);
        }

        if (rest.EndsWith("/tags/list"))
        {
            return new RegistryPath(RegistryResource.Tags, rest[..^"/tags/list".Length], default);
        }

        int last = rest.LastIndexOf('/');
        if (last < 0)
        {
            return default;
        }

        ReadOnlySpan<char> reference = rest[(last + 1)..];
        ReadOnlySpan<char> before = rest[..last];
        return Match(before, "/blobs/uploads", RegistryResource.Upload, reference, out RegistryPath found)
            || Match(before, "/manifests", RegistryResource.Manifest, reference, out found)
            || Match(before, "/blobs", RegistryResource.Blob, reference, out found)
            || Match(before, "/referrers", RegistryResource.Referrers, reference, out found)
            ? found
            : default;
    }

    private static bool Match(ReadOnlySpan<char> before, string word, RegistryResource resource, ReadOnlySpan<char> reference, out RegistryPath path)
    {
        bool matches = before.EndsWith(word);
        path = matches ? new RegistryPath(resource, before[..^word.Length], reference) : default;
        return matches;
    }
}
