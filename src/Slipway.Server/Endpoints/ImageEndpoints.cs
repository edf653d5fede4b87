using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Engine;
using Slipway.Engine.Images;
using Slipway.Server.Http;
using Slipway.Server.Streams;

namespace Slipway.Server.Endpoints;

internal static class ImageEndpoints
{
    public static Task List(ApiRequest request)
    {
        Filters filters = request.Query.Filters();
        if (request.Version < new ApiVersion(1, 41) && request.Query.Text("filter") is { } name)
        {
            // Until 1.41 a name could be given beside the filters.
            filters = new Filters(new Dictionary<string, IReadOnlyList<string>>(filters.Values) { ["reference"] = [.. filters["reference"], name] });
        }

        return request.WriteJsonAsync([.. request.Engine.Images.List(request.Query.Flag("all"), filters, request.Query.Flag("shared-size"))], EngineJson.Wire.ListImageSummary);
    }

    /// <summary>docker-compose 1.x speaks the newest version that it is offered, but makes no service anew without what 1.45 dropped.</summary>
    public static Task Inspect(ApiRequest request) =>
        (request.Http.Request.Headers.UserAgent.ToString().StartsWith("docker-compose/1.", StringComparison.Ordinal) ? request with { Version = new ApiVersion(1, 44) } : request)
        .WriteJsonAsync(request.Engine.Images.Inspect(request.Parameter), EngineJson.Wire.ImageInspect);

    public static Task History(ApiRequest request) =>
        request.WriteJsonAsync([.. request.Engine.Images.History(request.Parameter)], EngineJson.Wire.ListImageHistoryItem);

    public static async Task Tag(ApiRequest request)
    {
        await request.Engine.Images.TagAsync(request.Parameter, request.Query["repo"], request.Query.Text("tag"), request.Stopping);
        await request.Answer(StatusCodes.Status201Created);
    }

    public static async Task Remove(ApiRequest request)
    {
        var removed = await request.Engine.Images.RemoveAsync(request.Parameter, request.Query.Flag("force"), !request.Query.Flag("noprune"), request.Stopping);
        await request.WriteJsonAsync([.. removed], EngineJson.Wire.ListImageDeleteItem);
    }

    public static async Task Prune(ApiRequest request) =>
        await request.WriteJsonAsync(await request.Engine.Images.PruneAsync(request.Query.Filters(), request.Stopping), EngineJson.Wire.ImagesPruneReport);

    public static Task Load(ApiRequest request) => new JsonLines(request).RunAsync(progress =>
        request.Engine.Images.LoadAsync(request.Http.Request.Body, RegistryEndpoints.PlatformOf(request.Query.Text("platform")), request.Query.Flag("quiet"), progress, request.Http.RequestAborted));

    /// <summary>Pull or import, by the parameter that is there.</summary>
    public static Task Create(ApiRequest request)
    {
        QueryParameters query = request.Query;
        if (query.Text("fromImage") is not null)
        {
            return RegistryEndpoints.Pull(request);
        }

        string source = query.Text("fromSrc") ?? throw new EngineException(ErrorKind.InvalidParameter, "one of fromImage and fromSrc must be given");
        ImageImport import = new(source, query["repo"], query.Text("tag"), query.Text("message"), query.All("changes"), query.Text("platform"));
        return new JsonLines(request).RunAsync(progress =>
            request.Engine.Images.ImportAsync(import, request.Http.Request.Body, progress, request.Http.RequestAborted));
    }

    public static Task SaveOne(ApiRequest request) => SaveAsync(request, [request.Parameter]);

    public static Task SaveMany(ApiRequest request) => SaveAsync(request, request.Query.All("names"));

    private static async Task SaveAsync(ApiRequest request, IReadOnlyList<string> names)
    {
        Func<Stream, CancellationToken, Task> write = await request.Engine.Images.SaveAsync(names, RegistryEndpoints.PlatformOf(request.Query.Text("platform")), request.Http.RequestAborted);
        request.Response.ContentType = "application/x-tar";
        await write(request.Response.Body, request.Http.RequestAborted);
    }
}
