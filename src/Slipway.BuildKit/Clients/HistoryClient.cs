using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.BuildKit.Clients;

/// <summary>Asks an engine of the builds it remembers.</summary>
/// <param name="channel">A connection to <c>/grpc</c>; it stays the caller's.</param>
public sealed class HistoryClient(GrpcChannel channel)
{
    private const string Control = "/moby.buildkit.v1.Control/";

    /// <summary>All records, the newest first.</summary>
    public async Task<IReadOnlyList<HistoryRecord>> ListAsync(CancellationToken cancellationToken)
    {
        await using GrpcStream<HistoryEvent> stream = await channel.OpenAsync(Control + "ListenBuildHistory", HistoryEvent.Parser, [], cancellationToken);
        await stream.WriteLastAsync(new HistoryRequest { EarlyExit = true });
        List<HistoryRecord> records = [];
        while (await stream.ReadAsync() is { } found)
        {
            records.Add(found.Record);
        }

        return records;
    }

    /// <summary>Tells what a build told; of one that runs, until it ends.</summary>
    public async Task ReplayAsync(string reference, Func<StatusResponse, Task> progress, CancellationToken cancellationToken)
    {
        await using GrpcStream<StatusResponse> stream = await channel.OpenAsync(Control + "Status", StatusResponse.Parser, [], cancellationToken);
        await stream.WriteLastAsync(new StatusRequest { Ref = reference });
        while (await stream.ReadAsync() is { } status)
        {
            await progress(status);
        }
    }

    /// <exception cref="GrpcException">It is not remembered, or still runs.</exception>
    public Task RemoveAsync(string reference, CancellationToken cancellationToken) =>
        channel.CallAsync(Control + "UpdateBuildHistory", new HistoryUpdate { Ref = reference, IsDeleted = true }, Nothing.Parser, cancellationToken);
}
