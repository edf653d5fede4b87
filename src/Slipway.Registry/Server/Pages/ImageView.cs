using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Oci;
using Slipway.Registry.Server.Storage;

namespace Slipway.Registry.Server.Pages;

/// <summary>A step of an image's history, with the layer it made.</summary>
/// <param name="Layer">Null for a step that made none.</param>
internal sealed record ImageStep(string Command, Descriptor? Layer);

/// <summary>One image as the page shows it.</summary>
internal sealed record ImageView
{
    /// <summary>Of a configuration that is read to be shown.</summary>
    private const int MaximumConfig = 8 << 20;

    public required ManifestEntry Manifest { get; init; }

    /// <summary>Null for an artifact whose configuration is no image's.</summary>
    public required ImageConfig? Config { get; init; }

    public required IReadOnlyList<ImageStep> Steps { get; init; }

    /// <summary>Bytes of all layers as they are stored.</summary>
    public required long Size { get; init; }

    public string? ArtifactType { get; init; }

    /// <param name="manifest">Of a manifest, not an index.</param>
    public static async Task<ImageView> LoadAsync(
        IRegistryStorage storage, RepositoryName repository, ManifestEntry entry, Manifest manifest, CancellationToken cancellationToken)
    {
        IReadOnlyList<Descriptor> layers = manifest.Layers ?? [];
        ImageConfig? config = await LoadConfigAsync(storage, repository, manifest.Config.Digest, cancellationToken);
        return new ImageView
        {
            Manifest = entry,
            Config = config,
            Steps = Match(config?.History ?? [], layers),
            Size = layers.Sum(layer => layer.Size),
            ArtifactType = manifest.ArtifactType,
        };
    }

    /// <summary>
    /// Steps that made a layer and layers are in the same order (image-spec, config.md, "history"). Where their numbers differ the
    /// history is somebody's word that fits nothing: the layers are shown without it.
    /// </summary>
    internal static IReadOnlyList<ImageStep> Match(IReadOnlyList<ImageHistory> history, IReadOnlyList<Descriptor> layers)
    {
        if (history.Count(step => !step.EmptyLayer) != layers.Count)
        {
            return [.. layers.Select(layer => new ImageStep("", layer))];
        }

        int next = 0;
        return [.. history.Select(step => new ImageStep(Command(step), step.EmptyLayer ? null : layers[next++]))];
    }

    /// <summary>The words that builders put before a command say nothing to a reader.</summary>
    private static string Command(ImageHistory step)
    {
        string command = step.CreatedBy is { Length: > 0 } by ? by : step.Comment ?? "";
        command = command.Replace("/bin/sh -c #(nop) ", "", StringComparison.Ordinal);
        return (command.StartsWith("/bin/sh -c ", StringComparison.Ordinal) ? "RUN " + command["/bin/sh -c ".Length..] : command).Trim();
    }

    private static async Task<ImageConfig?> LoadConfigAsync(IRegistryStorage storage, RepositoryName repository, Digest digest, CancellationToken cancellationToken)
    {
        using BlobContent? blob = await storage.OpenBlobAsync(repository, digest, cancellationToken);
        if (blob is null || blob.Length > MaximumConfig)
        {
            return null;
        }

        SafeFileHandle file = blob.File;
        try
        {
            return ImageConfig.Parse(Descriptors.ReadToEnd(file, MaximumConfig));
        }
        catch (OciException)
        {
            return null;
        }
    }
}
