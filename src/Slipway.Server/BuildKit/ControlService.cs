using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Grpc;
using Slipway.Server.Transport;
using Slipway.Storage.Threading;

namespace Slipway.Server.BuildKit;

/// <summary><c>moby.buildkit.v1.Control</c>, apart from building: who builds, and what is kept for the next build.</summary>
internal sealed class ControlService(IEngine engine, ContextStore contexts)
{
    public const string Prefix = "/moby.buildkit.v1.Control/";

    /// <summary>A directory that a client sent, among the records of the cache.</summary>
    private const string ContextType = "source.local";

    public void AddTo(GrpcService service) => service
        .Unary(Prefix + "Info", Nothing.Parser, (_, _) => Task.FromResult(new InfoResponse { Engine = Workers.Engine }))
        .Unary(Prefix + "ListWorkers", Nothing.Parser, (_, _) => Task.FromResult(new WorkersResponse { Workers = { Workers.Of(engine.Daemon) } }))
        .Unary(Prefix + "DiskUsage", DiskUsageRequest.Parser, UsageAsync)
        .ServerStreaming(Prefix + "Prune", PruneRequest.Parser, PruneAsync);

    private async Task<DiskUsageResponse> UsageAsync(DiskUsageRequest request, GrpcCall call)
    {
        RecordFilter filter = RecordFilter.Parse(request.Filters);
        DiskUsageResponse response = new();
        if (engine.Builds is { } builds)
        {
            response.Records.AddRange((await builds.CacheAsync(call.Cancelled)).Select(ToWire).Where(filter.Matches));
        }

        response.Records.AddRange((await WorkerThread.RunAsync("contexts", contexts.List)).Select(ToWire).Where(filter.Matches));
        return response;
    }

    private async Task PruneAsync(PruneRequest request, GrpcCall call)
    {
        if (call.Connection<ClientOrigin>()?.Policy is { } policy && !policy.AllowsVerb("build.prune"))
        {
            throw new GrpcException(GrpcStatusCode.PermissionDenied, "the operation build.prune is not allowed by the policy of this socket");
        }

        RecordFilter filter = RecordFilter.Parse(request.Filters);
        await call.StartAsync();
        long kept = Math.Max(request.KeepBytes, request.MaxUsedSpace);
        if (engine.Builds is { } builds)
        {
            BuildCachePruned pruned;
            try
            {
                pruned = await builds.PruneAsync(new BuildCachePrune { All = request.All, KeepStorage = kept, Filters = Unused(request.KeepDuration), Where = record => filter.Matches(ToWire(record)) }, call.Cancelled);
            }
            catch (EngineException error)
            {
                throw SolveErrors.Translate(error);
            }

            foreach (BuildCacheRecord record in pruned.Records)
            {
                await call.WriteAsync(ToWire(record));
            }
        }

        // Days are what contexts are counted in; what is younger than asked for stays.
        int days = (int)Math.Ceiling(TimeSpan.FromMicroseconds(request.KeepDuration / 1000.0).TotalDays);
        ContextLimits none = new(Trees: kept > 0 || days > 0 ? int.MaxValue : 0, Bytes: kept > 0 ? kept : days > 0 ? long.MaxValue : 0, Days: days > 0 ? days : int.MaxValue);
        foreach (KeptContext context in await WorkerThread.RunAsync("contexts", () => contexts.Trim(none, context => filter.Matches(ToWire(context)))))
        {
            await call.WriteAsync(ToWire(context));
        }
    }

    /// <param name="keepDuration">Nanoseconds: what was used within them stays.</param>
    private static Filters Unused(long keepDuration) => keepDuration <= 0 ? Filters.None
        : new Filters(new Dictionary<string, IReadOnlyList<string>> { ["until"] = [string.Create(CultureInfo.InvariantCulture, $"{keepDuration / 1_000_000_000}s")] });

    private static CacheRecord ToWire(BuildCacheRecord record)
    {
        CacheRecord wire = new()
        {
            Id = record.Id,
            IsInUse = record.InUse,
            IsMutable = record.Type == "exec.cachemount",
            IsShared = record.Shared,
            Size = record.Size,
            Type = record.Type,
            Description = record.Description,
            CreatedAt = Timestamp.FromDateTimeOffset(record.CreatedAt),
            LastUsedAt = record.LastUsedAt is { } used ? Timestamp.FromDateTimeOffset(used) : null,
            UsageCount = record.UsageCount,
        };
        wire.Parents.AddRange(record.Parents);
        return wire;
    }

    private static CacheRecord ToWire(KeptContext context) => new()
    {
        Id = context.Id,
        IsInUse = context.InUse,
        IsMutable = true,
        Size = Math.Max(context.Size, 0),
        Type = ContextType,
        Description = "local source of a client",
        CreatedAt = Timestamp.FromDateTimeOffset(context.LastUsed),
        LastUsedAt = Timestamp.FromDateTimeOffset(context.LastUsed),
        UsageCount = 1,
    };
}
