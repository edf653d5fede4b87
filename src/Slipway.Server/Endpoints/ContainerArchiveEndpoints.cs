using System.Text.Json;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers;
using Slipway.Server.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.Endpoints;

/// <summary>Files into containers and out of them, as tars (<c>docker cp</c>).</summary>
internal static class ContainerArchiveEndpoints
{
    private const string StatHeader = "X-Docker-Container-Path-Stat";

    public static async Task Stat(ApiRequest request) =>
        Describe(request, await request.Engine.Containers.StatPathAsync(request.Parameter, Path(request), request.Http.RequestAborted));

    public static async Task Get(ApiRequest request)
    {
        await using ContainerArchive archive = await request.Engine.Containers.CopyFromAsync(request.Parameter, Path(request), request.Http.RequestAborted);
        Describe(request, archive.Stat);
        request.Response.ContentType = "application/x-tar";
        await using DirectResponseBody? direct = await DirectResponseBody.TryOpenAsync(request.Http, request.Connection, request.Http.RequestAborted);
        await archive.WriteTo(direct ?? request.Response.Body, request.Http.RequestAborted);
    }

    public static async Task Put(ApiRequest request)
    {
        ContainerExtraction extraction = new(Path(request), request.Query.Flag("noOverwriteDirNonDir"), request.Query.Flag("copyUIDGID"));
        await using DirectRequestBody? direct = await DirectRequestBody.TryOpenAsync(request.Http.Request, request.Connection, request.Http.RequestAborted);
        try
        {
            await request.Engine.Containers.CopyToAsync(request.Parameter, extraction, direct ?? request.Http.Request.Body, request.Http.RequestAborted);
        }
        catch when (direct is not null)
        {
            // The rest of the body is not read, so nothing can follow it.
            request.Response.Headers.Connection = "close";
            throw;
        }
    }

    private static string Path(ApiRequest request) =>
        request.Query.Text("path") ?? throw new EngineException(ErrorKind.InvalidParameter, "bad parameter: path cannot be empty");

    private static void Describe(ApiRequest request, ContainerPathStat stat) =>
        request.Response.Headers[StatHeader] = Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(stat, EngineJson.Wire.ContainerPathStat));
}
