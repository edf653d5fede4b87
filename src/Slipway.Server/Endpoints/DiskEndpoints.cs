using Slipway.Api;
using Slipway.Api.Disk;
using Slipway.Engine;
using Slipway.Engine.Disk;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

/// <summary>What the data takes on the disk, and giving back what of it nobody needs.</summary>
internal static class DiskEndpoints
{
    public static async Task Usage(ApiRequest request)
    {
        // Since 1.42 a client may ask for parts.
        IReadOnlyList<string> types = request.Version < new ApiVersion(1, 42) ? [] : request.Query.All("type");
        DiskUsageTypes asked = types.Aggregate(DiskUsageTypes.None, (all, type) => all | Parse(type));
        DiskUsage usage = await request.Engine.Disk.UsageAsync(types.Count == 0 ? DiskUsageTypes.All : asked, request.Http.RequestAborted);
        await request.WriteJsonAsync(usage, EngineJson.Wire.DiskUsage);
    }

    /// <summary>Slipway's own: every object below the data root.</summary>
    public static async Task Ledger(ApiRequest request) =>
        await request.WriteJsonAsync(await request.Engine.Disk.LedgerAsync(request.Http.RequestAborted), EngineJson.Wire.DiskLedger);

    private static DiskUsageTypes Parse(string type) => type switch
    {
        "image" => DiskUsageTypes.Images,
        "container" => DiskUsageTypes.Containers,
        "volume" => DiskUsageTypes.Volumes,
        "build-cache" => DiskUsageTypes.BuildCache,
        _ => throw new EngineException(ErrorKind.InvalidParameter, $"unknown object type: {type}"),
    };
}
