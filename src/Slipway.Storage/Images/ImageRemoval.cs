using Slipway.Oci;

namespace Slipway.Storage.Images;

/// <summary>What <c>docker rmi</c> does to an image: which names go, and whether the image goes with them.</summary>
internal sealed record ImageRemoval(IReadOnlyList<Reference> Untag, bool Delete)
{
    /// <param name="name">The name given, or null where an id was given.</param>
    /// <param name="given">As it was written, for the error.</param>
    /// <exception cref="StorageException">Conflict, with Docker's texts.</exception>
    public static ImageRemoval Plan(ImageCatalog.Entry image, Reference? name, string given, RemoveOptions options)
    {
        var id = image.Image.Id;
        var uses = options.UsedBy(id);
        return name is null ? ById(image, uses, options.Force) : ByName(image, name, given, uses, options.Force);
    }

    private static ImageRemoval ByName(ImageCatalog.Entry image, Reference name, string given, IReadOnlyList<ImageUse> uses, bool force)
    {
        // The name alone goes as long as others are left. A digest of the same repository is no name of its own.
        var rest = image.Names.Where(other => other != name && !(name.Tag is not null && other.Tag is null && other.Name == name.Name)).ToList();
        if (rest.Count > 0)
        {
            var left = rest.Any(other => other.Tag is not null && other.Name == name.Name);
            return new ImageRemoval(left ? [name] : [.. image.Names.Where(other => !rest.Contains(other))], false);
        }

        if (!force && uses.Count > 0)
        {
            throw new StorageException(
                StorageErrorKind.Conflict,
                $"conflict: unable to remove repository reference \"{given}\" (must force) - container {Short(uses[0])} is using its referenced image {image.Image.Id.Short}");
        }

        // The last name goes even then; the image itself stays while containers use it.
        return new ImageRemoval([.. image.Names], !uses.Any(use => use.Running) && (force || uses.Count == 0));
    }

    private static ImageRemoval ById(ImageCatalog.Entry image, IReadOnlyList<ImageUse> uses, bool force)
    {
        if (uses.FirstOrDefault(use => use.Running) is { } running)
        {
            throw Conflict(image, hard: true, $"image is being used by running container {Short(running)}");
        }

        if (!force && !IsSingleReference(image.Names))
        {
            throw Conflict(image, hard: false, "image is referenced in multiple repositories");
        }

        if (!force && uses is [var stopped, ..])
        {
            throw Conflict(image, hard: false, $"image is being used by stopped container {Short(stopped)}");
        }

        return new ImageRemoval([.. image.Names], true);
    }

    /// <summary>At most one tag, and all names in one repository.</summary>
    private static bool IsSingleReference(IReadOnlyList<Reference> names) =>
        names.Count(name => name.Tag is not null) <= 1 && names.Select(name => name.Name).Distinct().Count() <= 1;

    private static StorageException Conflict(ImageCatalog.Entry image, bool hard, string reason) =>
        new(StorageErrorKind.Conflict, $"conflict: unable to delete {image.Image.Id.Short} ({(hard ? "cannot be forced" : "must be forced")}) - {reason}");

    private static string Short(ImageUse use) => use.ContainerId.Length > 12 ? use.ContainerId[..12] : use.ContainerId;
}
