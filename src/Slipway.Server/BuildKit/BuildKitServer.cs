using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;
using Slipway.BuildKit.Sessions;
using Slipway.Engine;
using Slipway.Grpc;
using Slipway.Server.Http;
using Slipway.Server.Streams;
using Slipway.Server.Transport;

namespace Slipway.Server.BuildKit;

/// <summary>BuildKit's API on an engine. Nothing of it is started before the first client asks.</summary>
internal sealed class BuildKitServer : IDisposable
{
    /// <summary>The longest message that is taken, in bytes: a request carries a Dockerfile and options, not files.</summary>
    private const int MaxMessage = 16 << 20;

    /// <summary>Of the data root: what clients sent for builds.</summary>
    private const string ContextFolder = "contexts";

    /// <summary>Clients send what they measured of themselves; nobody here wants it.</summary>
    private const string TraceMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    private readonly GrpcServer _grpc;

    public BuildKitServer(IEngine engine, ILoggerFactory logging)
    {
        GrpcService service = new();
        BuildJobs jobs = new(TimeProvider.System);
        ContextStore contexts = new(Path.Combine(engine.Daemon.DataRoot, ContextFolder), TimeProvider.System, new ContextLimits());
        new ControlService(engine, contexts).AddTo(service);
        new SolveService(engine, Sessions, jobs, contexts, TimeProvider.System, logging.CreateLogger("Slipway.Server")).AddTo(service, ControlService.Prefix);
        new HistoryService(engine, TimeProvider.System).AddTo(service, ControlService.Prefix);
        new GatewayService(engine.Daemon, jobs).AddTo(service);
        service.Unary(TraceMethod, Nothing.Parser, static (_, _) => Task.FromResult(new Nothing()));
        service.Unary(SessionMethods.Health, HealthRequest.Parser, static (_, _) => Task.FromResult(new HealthResponse { Status = 1 }));
        _grpc = new GrpcServer(service, MaxMessage, logging);
    }

    public ClientSessions Sessions { get; } = new(TimeProvider.System);

    /// <summary>Serves a client's calls until its connection ends.</summary>
    public async Task ServeAsync(IDuplexPipe pipe, ApiRequest request)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(request.Connection.Closed, request.Connection.InputEnded, request.Stopping);
        FeatureCollection features = new();
        features.Set(request.Connection.Origin);
        await _grpc.ServeAsync(pipe, features, end.Token);
    }

    /// <summary>Keeps a client's session until its connection ends.</summary>
    public async Task AttachAsync(SessionOffer offer, IDuplexPipe pipe, ApiRequest request)
    {
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(request.Connection.Closed, request.Connection.InputEnded, request.Stopping);
        await using ClientSession session = new(offer.Id, offer.Name, offer.SharedKey, offer.Methods, new GrpcChannel(new DuplexStream(pipe)), end.Token);
        Sessions.Add(session);
        try
        {
            await session.Channel.StartAsync(end.Token);
            await Task.Delay(Timeout.Infinite, end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            Sessions.Remove(session);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => _grpc.StopAsync(cancellationToken);

    public void Dispose() => _grpc.Dispose();
}
