using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Slipway.Server.Http;

namespace Slipway.Server.Endpoints;

/// <summary>What containers wrote: diff, export, commit.</summary>
internal static class ContainerLayerEndpoints
{
    private static readonly byte[] s_null = "null\n"u8.ToArray();

    public static async Task Changes(ApiRequest request)
    {
        IReadOnlyList<FilesystemChange> changes = await request.Engine.Containers.ChangesAsync(request.Parameter, request.Http.RequestAborted);
        if (changes.Count > 0)
        {
            await request.WriteJsonAsync([.. changes], EngineJson.Wire.ListFilesystemChange);
            return;
        }

        // As dockerd says that there are none.
        request.Response.ContentType = JsonBody.ContentType;
        request.Response.ContentLength = s_null.Length;
        await request.Response.Body.WriteAsync(s_null, request.Http.RequestAborted);
    }

    public static async Task Export(ApiRequest request)
    {
        Func<Stream, CancellationToken, Task> write = request.Engine.Containers.Export(request.Parameter);
        request.Response.ContentType = "application/octet-stream";
        await write(request.Response.Body, request.Http.RequestAborted);
    }

    public static async Task Commit(ApiRequest request)
    {
        QueryParameters query = request.Query;
        bool hasBody = request.Http.Request.ContentLength is > 0 || request.Http.Request.Headers.ContainsKey("Transfer-Encoding");
        ContainerConfig? config = hasBody ? await request.ReadJsonAsync<ContainerConfig>() : null;
        string id = await request.Engine.Containers.CommitAsync(
            new ContainerCommit(
                query["container"],
                query["repo"],
                query.Text("tag"),
                query.Text("comment"),
                query.Text("author"),
                Pause: query["pause"].Length == 0 || query.Flag("pause"),
                query.All("changes"),
                config),
            request.Stopping);
        await request.WriteJsonAsync(new IdResponse(id), EngineJson.Wire.IdResponse, StatusCodes.Status201Created);
    }
}
