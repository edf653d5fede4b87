using System.Globalization;
using Slipway.Oci;

namespace Slipway.Build.Solving;

/// <summary>An image whose layers are in the store.</summary>
public sealed record KnownImage(ImageConfig Config, IReadOnlyList<BuiltLayer> Layers);

/// <summary>
/// Finds in the history of images what a step makes (<c>--cache-from</c> of the classic builder). An image has it where it was made from the same layers by the same
/// steps, which histories tell: a COPY by the digest of what it read, a RUN by its command and arguments.
/// </summary>
/// <param name="images">Those the client trusts: what a history tells is believed.</param>
public sealed class HistoryCache(IReadOnlyList<KnownImage> images)
{
    /// <summary>Whether all that a step depends on is in its history.</summary>
    public static bool Covers(StepOperation operation) => operation switch
    {
        RunOperation run => run is { Mounts.Count: 0, Script: null, Network: null, Insecure: false },
        TransferOperation transfer => transfer is { Files.Count: 0, Link: false, Unpack: null },
        _ => true,
    };

    /// <param name="state">Before the step.</param>
    /// <param name="text">The history of the step.</param>
    /// <returns>The layer it made, or none where it made none, and when; null: no image has it.</returns>
    public (BuiltLayer? Layer, DateTimeOffset Created)? Find(StageState state, string text)
    {
        foreach ((ImageConfig config, IReadOnlyList<BuiltLayer> layers) in images)
        {
            IReadOnlyList<ImageHistory> history = config.History ?? [];
            if (history.Count <= state.History.Count || history[state.History.Count] is not { } step || step.CreatedBy != text || !Begins(history, state.History)
                || layers.Count < state.Layers.Count || !state.Layers.Select(layer => layer.ChainId).SequenceEqual(layers.Take(state.Layers.Count).Select(layer => layer.ChainId))
                || !DateTimeOffset.TryParse(step.Created, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset created))
            {
                continue;
            }

            if (step.EmptyLayer)
            {
                return (null, created);
            }

            if (layers.Count > state.Layers.Count)
            {
                return (layers[state.Layers.Count], created);
            }
        }

        return null;
    }

    private static bool Begins(IReadOnlyList<ImageHistory> history, IReadOnlyList<ImageHistory> with) =>
        with.Zip(history).All(pair => pair.First.CreatedBy == pair.Second.CreatedBy && pair.First.EmptyLayer == pair.Second.EmptyLayer);
}
