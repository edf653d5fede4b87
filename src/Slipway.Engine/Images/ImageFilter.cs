using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images;

/// <summary>The filters of <c>docker images</c>: dangling, label, before, since, until, reference.</summary>
internal sealed class ImageFilter
{
    private readonly Filters _filters;
    private readonly bool? _dangling;
    private readonly DateTimeOffset _before = DateTimeOffset.MaxValue;
    private readonly DateTimeOffset _since = DateTimeOffset.MinValue;

    private ImageFilter(Filters filters, IImageStore store, TimeProvider time)
    {
        filters.Validate("dangling", "label", "before", "since", "reference", "until");
        _filters = filters;
        _dangling = Dangling(filters["dangling"]);
        foreach (string reference in filters["before"])
        {
            _before = Earlier(_before, store.Get(reference).Created);
        }

        foreach (string text in filters["until"])
        {
            _before = Earlier(_before, TimeText.Parse(text, time));
        }

        foreach (string reference in filters["since"])
        {
            DateTimeOffset created = store.Get(reference).Created;
            _since = created > _since ? created : _since;
        }
    }

    /// <exception cref="EngineException">InvalidParameter: a filter or value that is not known.</exception>
    /// <exception cref="Storage.StorageException">NotFound: an image the filters name.</exception>
    public static ImageFilter Create(Filters filters, IImageStore store, TimeProvider time) => new(filters, store, time);

    /// <summary>The image, with those of its names that were asked for; null where it is filtered out.</summary>
    public Image? Apply(Image image)
    {
        if (image.Created >= _before || image.Created <= _since || !HasLabels(image) || (_dangling is { } dangling && dangling != IsDangling(image)))
        {
            return null;
        }

        if (!_filters.Has("reference"))
        {
            return image;
        }

        Image named = image with { RepoTags = [.. image.RepoTags.Where(IsReferred)], RepoDigests = [.. image.RepoDigests.Where(IsReferred)] };
        return IsDangling(named) ? null : named;
    }

    private static bool IsDangling(Image image) => image.RepoTags.Count == 0 && image.RepoDigests.Count == 0;

    private static bool? Dangling(IReadOnlyList<string> values) => values.Count == 0 ? null : values[0].ToLowerInvariant() switch
    {
        "1" or "true" => true,
        "0" or "false" => false,
        _ => throw new EngineException(ErrorKind.InvalidParameter, $"invalid filter 'dangling=[{string.Join(' ', values)}]'"),
    };

    private static DateTimeOffset Earlier(DateTimeOffset left, DateTimeOffset right) => left < right ? left : right;

    private bool HasLabels(Image image) => _filters["label"].All(label =>
    {
        int equals = label.IndexOf('=', StringComparison.Ordinal);
        return image.Config.Config?.Labels is { } labels
            && labels.TryGetValue(equals < 0 ? label : label[..equals], out string? value)
            && (equals < 0 || value == label[(equals + 1)..]);
    });

    /// <summary>By the whole name, or by the name without tag and digest.</summary>
    private bool IsReferred(string name) => _filters["reference"].Any(pattern =>
        GlobPattern.IsMatch(pattern, name) || (Reference.TryParse(name, out Reference? reference) && GlobPattern.IsMatch(pattern, reference!.FamiliarName)));
}
