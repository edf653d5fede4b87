using Slipway.BuildKit.Protocol;
using Slipway.Engine;
using Slipway.Engine.Builds;
using Slipway.Engine.Builds.History;
using Slipway.Grpc;
using Slipway.Server.Authorization;
using Slipway.Server.Streams;
using Slipway.Server.Transport;

namespace Slipway.Server.BuildKit;

/// <summary>The history of builds: ListenBuildHistory and UpdateBuildHistory of <c>moby.buildkit.v1.Control</c>.</summary>
internal sealed class HistoryService(IEngine engine, TimeProvider time)
{
    /// <summary>As in google.rpc.Status.</summary>
    private const int Cancelled = 1;
    private const int Unknown = 2;

    public void AddTo(GrpcService service, string prefix) => service
        .ServerStreaming(prefix + "ListenBuildHistory", HistoryRequest.Parser, ListenAsync)
        .Unary(prefix + "UpdateBuildHistory", HistoryUpdate.Parser, UpdateAsync);

    /// <summary>Tells what a remembered build told.</summary>
    /// <returns>False: it is not remembered.</returns>
    public static async Task<bool> TryReplayAsync(IBuildHistory? history, string reference, GrpcCall call)
    {
        if (history is null || await history.FindAsync(reference, call.Cancelled) is null)
        {
            return false;
        }

        await history.ReplayAsync(reference, new Replay(call), call.Cancelled);
        return true;
    }

    private IBuildHistory History => engine.Builds?.History ?? throw new GrpcException(GrpcStatusCode.Unimplemented, "this engine does not build");

    private async Task ListenAsync(HistoryRequest request, GrpcCall call)
    {
        // Logs of builds are everybody's who may look at the list: they are found by it.
        Require(call, Verbs.BuildHistory);
        HistoryFilter filter = HistoryFilter.Parse(request.Filters, time.GetUtcNow());
        IBuildHistory history = History;
        await call.StartAsync();
        await using LookAhead<BuildRecordChange> changes = new(history.WatchAsync(call.Cancelled), call.Cancelled);

        // Watched before it is listed, so that nothing is missed between.
        ValueTask<bool> next = request.EarlyExit ? ValueTask.FromResult(false) : changes.MoveNextAsync();
        IEnumerable<BuildRecord> known = (await history.ListAsync(call.Cancelled)).Where(IsAskedFor);
        foreach (BuildRecord record in request.Limit > 0 ? known.Take(request.Limit) : known)
        {
            await call.WriteAsync(ToWire(record.State == BuildState.Running ? RecordChange.Started : RecordChange.Completed, record));
        }

        for (; await next; next = changes.MoveNextAsync())
        {
            if (IsAskedFor(changes.Current.Record) || (request.ActiveOnly && changes.Current.Change == RecordChange.Completed))
            {
                await call.WriteAsync(ToWire(changes.Current.Change, changes.Current.Record));
            }
        }

        bool IsAskedFor(BuildRecord record) => (request.Ref.Length == 0 || record.Reference == request.Ref) && (!request.ActiveOnly || record.State == BuildState.Running) && filter.Matches(record);
    }

    /// <summary>Whether the socket of a call allows an operation.</summary>
    public static bool Allows(GrpcCall call, string verb) => call.Connection<ClientOrigin>() is not { Policy: { } policy } || policy.AllowsVerb(verb);

    /// <exception cref="GrpcException">PermissionDenied.</exception>
    public static void Require(GrpcCall call, string verb)
    {
        if (!Allows(call, verb))
        {
            throw new GrpcException(GrpcStatusCode.PermissionDenied, $"refused by the policy of {call.Connection<ClientOrigin>()?.Listener}: the operation {verb} is not allowed");
        }
    }

    private async Task<Nothing> UpdateAsync(HistoryUpdate update, GrpcCall call)
    {
        Require(call, "build.prune");
        try
        {
            if (update.IsDeleted)
            {
                await History.RemoveAsync(update.Ref, call.Cancelled);
            }
            else if (!update.IsFinalized)
            {
                // A record is final when its build has ended: there is nothing to do for who asks for that.
                await History.PinAsync(update.Ref, update.IsPinned, call.Cancelled);
            }
        }
        catch (EngineException error)
        {
            throw SolveErrors.Translate(error);
        }

        return new Nothing();
    }

    private static HistoryEvent ToWire(RecordChange change, BuildRecord record)
    {
        HistoryRecord wire = new()
        {
            Ref = record.Reference,
            Frontend = "dockerfile.v0",
            CreatedAt = StatusMessages.Of(record.Started),
            CompletedAt = record.Completed is { } completed ? StatusMessages.Of(completed) : null,
            Error = record.Error.Length == 0 ? null : new StatusText { Code = record.State == BuildState.Cancelled ? Cancelled : Unknown, Message = record.Error },
            IsPinned = record.IsPinned,
            TotalSteps = record.TotalSteps,
            CachedSteps = record.CachedSteps,
            CompletedSteps = record.CompletedSteps,
            Warnings = record.Warnings,
        };
        foreach ((string name, string value) in record.Attributes)
        {
            wire.FrontendAttributes[name] = value;
        }

        foreach ((string name, string value) in record.Result)
        {
            wire.ExporterResponse[name] = value;
        }

        if (record.Names.Count > 0)
        {
            wire.Exporters.Add(new Exporter { Type = "image", Attributes = { ["name"] = string.Join(',', record.Names) } });
        }

        return new HistoryEvent { Type = (int)change, Record = wire };
    }

    private sealed class Replay(GrpcCall call) : IBuildProgress
    {
        public ValueTask VertexAsync(BuildVertex vertex) => StatusMessages.Of(vertex) is { } message ? SendAsync(new StatusResponse { Vertexes = { message } }) : ValueTask.CompletedTask;

        public ValueTask LogAsync(BuildLog log) => SendAsync(StatusMessages.Of(log));

        public ValueTask StatusAsync(BuildStatus status) => SendAsync(StatusMessages.Of(status));

        public ValueTask WarningAsync(BuildWarning warning) => SendAsync(StatusMessages.Of(warning));

        private async ValueTask SendAsync(StatusResponse message) => await call.WriteAsync(message);
    }
}
