using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Slipway.Engine;
using Slipway.Server.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.BuildKit;

/// <summary>BuildKit's two connections: over one the client calls us, over the other we call the client.</summary>
internal static class BuildKitEndpoints
{
    public static async Task Grpc(ApiRequest request)
    {
        IDuplexPipe pipe = await UpgradeAsync(request);
        try
        {
            await request.BuildKit.ServeAsync(pipe, request);
        }
        finally
        {
            await CloseAsync(request, pipe);
        }
    }

    public static async Task Session(ApiRequest request)
    {
        SessionOffer offer = SessionOffer.Read(request.Http.Request.Headers);
        IDuplexPipe pipe = await UpgradeAsync(request);
        try
        {
            await request.BuildKit.AttachAsync(offer, pipe, request);
        }
        finally
        {
            await CloseAsync(request, pipe);
        }
    }

    private static async Task<IDuplexPipe> UpgradeAsync(ApiRequest request)
    {
        if (!string.Equals(request.Http.Request.Headers.Upgrade, "h2c", StringComparison.OrdinalIgnoreCase))
        {
            throw new EngineException(ErrorKind.InvalidParameter, "no upgrade to h2c was asked for");
        }

        await request.AdmitStreamAsync(upgrade: true);
        IDuplexPipe pipe = request.Connection.Hijack();
        await pipe.Output.WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"));
        return pipe;
    }

    private static async Task CloseAsync(ApiRequest request, IDuplexPipe pipe)
    {
        await pipe.Output.CompleteAsync();
        request.Http.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        request.Http.Abort();
    }
}
