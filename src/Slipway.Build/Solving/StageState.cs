using System.Globalization;
using System.Text.Json;
using Slipway.Build.Graph;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>What a stage has made up to a step. Never changed: a step makes a new one.</summary>
public sealed record StageState
{
    public required Platform Platform { get; init; }

    public required ImageRunConfig Config { get; init; }

    public required BuildArguments Arguments { get; init; }

    public IReadOnlyList<BuiltLayer> Layers { get; init; } = [];

    public IReadOnlyList<ImageHistory> History { get; init; } = [];

    public string? Author { get; init; }

    /// <summary>As an image has it.</summary>
    public string? Created { get; init; }

    /// <summary>The key of the last step.</summary>
    public Digest Key { get; init; }

    /// <summary>The vertex of the last step.</summary>
    public Digest Vertex { get; init; }

    /// <summary>The stage has a CMD of its own, which an ENTRYPOINT leaves.</summary>
    public bool HasOwnCommand { get; init; }

    /// <summary>The image that its FROM means, be it that of an earlier stage; none for <c>scratch</c>.</summary>
    public Digest FromId { get; init; }

    /// <summary>Layers of that image.</summary>
    public int FromLayers { get; init; }

    /// <summary>Entries of the history of that image.</summary>
    public int FromHistory { get; init; }

    /// <summary>Entries of the history that no stage of the Dockerfile has made.</summary>
    public int BaseHistory { get; init; }

    /// <summary>What the image tells builds that import it as a cache; null: nothing.</summary>
    public byte[]? BuildCache { get; init; }

    public string? Variable(string name) => Arguments.Value(Config.Env, name);

    /// <summary>The image's configuration document.</summary>
    public byte[] Document() => JsonSerializer.SerializeToUtf8Bytes(
        new ImageConfig
        {
            Architecture = Platform.Architecture,
            Variant = Platform.Variant,
            Os = Platform.Os,
            OsVersion = Platform.OsVersion,
            OsFeatures = Platform.OsFeatures,
            Author = Author,
            BuildCache = BuildCache,
            Config = Config,
            Created = Created,
            History = History,
            RootFs = new RootFilesystem { DiffIds = [.. Layers.Select(layer => layer.DiffId)] },
        },
        OciJson.Default.ImageConfig);

    public static string Format(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);
}
