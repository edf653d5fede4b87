using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging.Abstractions;
using Slipway.BuildKit.Protocol;
using Slipway.Grpc;

namespace Slipway.BuildKit.Clients;

/// <summary>
/// Builds over BuildKit's API, as its clients do: the engine is asked over one connection, and asks over another for what the client has to give. The engine reads nothing by itself
/// that the client could name: a client has only what its user may read, and sends of a directory what has changed.
/// </summary>
/// <param name="upgrade">Opens a connection of HTTP/2 to the engine: <c>/grpc</c>, <c>/session</c>, with headers.</param>
public sealed class BuildClient(Func<string, IReadOnlyList<KeyValuePair<string, string>>, CancellationToken, Task<Stream>> upgrade)
{
    private const string Control = "/moby.buildkit.v1.Control/";
    private const string SessionHeader = "X-Docker-Expose-Session-";
    private const int MessageLimit = 16 << 20;

    /// <param name="request">Its reference and session are set here.</param>
    /// <param name="sharedKey">The same for builds of the same directory: what was sent before is found again.</param>
    /// <param name="progress">Told of what happens, in order.</param>
    /// <returns>What the engine says of the result (<c>containerimage.config.digest</c>, …).</returns>
    /// <exception cref="GrpcException">The build failed.</exception>
    public async Task<IReadOnlyDictionary<string, string>> BuildAsync(
        SolveRequest request, ClientResources resources, string sharedKey, Func<StatusResponse, Task> progress, CancellationToken cancellationToken)
    {
        (GrpcService service, IReadOnlyList<string> methods) = new ClientServices(resources).Create();
        (request.Ref, request.Session) = (Guid.NewGuid().ToString("N"), Guid.NewGuid().ToString("N"));
        using GrpcServer server = new(service, MessageLimit, NullLoggerFactory.Instance);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using Stream session = await upgrade("/session", [
            new(SessionHeader + "Uuid", request.Session), new(SessionHeader + "Name", "slipway"), new(SessionHeader + "Sharedkey", sharedKey),
            .. methods.Select(method => KeyValuePair.Create(SessionHeader + "Grpc-Method", method)),
        ], cancellationToken);
        Task serving = server.ServeAsync(new Duplex(PipeReader.Create(session), PipeWriter.Create(session)), new FeatureCollection(), end.Token);
        try
        {
            await using GrpcChannel channel = new(await upgrade("/grpc", [], cancellationToken));
            await channel.StartAsync(cancellationToken);
            Task watching = new HistoryClient(channel).ReplayAsync(request.Ref, progress, cancellationToken);
            SolveResponse response;
            try
            {
                response = await channel.CallAsync(Control + "Solve", request, SolveResponse.Parser, cancellationToken);
            }
            catch (GrpcException)
            {
                // What led to it is told first.
                await watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                throw;
            }

            await watching;
            return response.ExporterResponse;
        }
        finally
        {
            await end.CancelAsync();
            await serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await server.StopAsync(CancellationToken.None);
        }
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
