using System.Runtime.CompilerServices;
using System.Text.Json;
using Slipway.Api;
using Slipway.Api.Containers;

namespace Slipway.Server.Http;

/// <summary>The JSON of items that the engine lists again and again, kept as long as the item is: it hands out the same object where nothing has changed.</summary>
internal static class KeptJson
{
    private static readonly ConditionalWeakTable<ContainerSummary, byte[]> s_summaries = [];

    public static byte[] Of(ContainerSummary summary) =>
        s_summaries.GetValue(summary, static item => JsonSerializer.SerializeToUtf8Bytes(item, EngineJson.Wire.ContainerSummary));
}
