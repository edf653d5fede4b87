using Slipway.Build.Solving;
using Slipway.Engine.Builds.Exchange;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Builds.Outputs;

/// <summary>
/// A result whose layers above the image that it starts from are one (<c>--squash</c>): what a later step removed is in none of them. The history keeps its steps, without layers, and
/// tells of the merging, in dockerd's words.
/// </summary>
internal static class SquashedStage
{
    /// <exception cref="EngineException">InvalidParameter: something else is asked for that needs the layers of the steps.</exception>
    public static void Check(BuildRequest request)
    {
        if (request.Squash && request.CacheExports.Any(export => export.Type == CacheExchange.Inline))
        {
            throw new EngineException(ErrorKind.InvalidParameter, "a squashed image cannot carry a build cache: its steps have no layers (--cache-to type=inline)");
        }
    }

    public static async Task<StageState> MakeAsync(EngineServices services, IImageIngest ingest, StageState state, DateTimeOffset? sourceDate, CancellationToken cancellationToken)
    {
        BuiltLayer[] layers = [.. state.Layers.Take(state.FromLayers)];
        if (state.Layers.Count > layers.Length)
        {
            Digest[] lower = [.. layers.Select(layer => layer.ChainId)], chainIds = [.. state.Layers.Select(layer => layer.ChainId)];
            Layer merged = await ingest.AddTarAsync(
                lower.LastOrDefault(), (output, end) => services.Data.Snapshots.WriteDifference(lower, chainIds, sourceDate, output, end), cancellationToken);
            layers = [.. layers, new BuiltLayer(merged.ChainId, merged.DiffId, merged.Size)];
        }

        Digest id = Digest.Of(state.Document());
        string created = StageState.Format(sourceDate ?? services.Time.GetUtcNow());
        bool hasLayer = layers.Length > state.FromLayers;
        return state with
        {
            Layers = layers,
            Created = created,
            History =
            [
                .. state.History.Take(state.FromHistory),
                .. state.History.Skip(state.FromHistory).Select(step => step with { EmptyLayer = true }),
                new ImageHistory { Created = created, Comment = state.FromId.IsNone ? $"create new from {id}" : $"merge {id} to {state.FromId}", EmptyLayer = !hasLayer },
            ],
        };
    }
}
