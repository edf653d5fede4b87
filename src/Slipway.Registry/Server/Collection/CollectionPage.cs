using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Access;
using Slipway.Registry.Server.Http;

namespace Slipway.Registry.Server.Collection;

/// <summary><c>POST /-/gc</c>: collects garbage now, for administrators; answers what was removed. No repository's name begins with a dash.</summary>
internal sealed class CollectionPage(GarbageCollector collector) : IPage
{
    public const string Path = "/-/gc";

    public bool IsPublic => false;

    public bool Matches(string method, string path) => path == Path && HttpMethods.IsPost(method);

    public bool Admits(Caller caller, string path) => caller.MayAdminister;

    public async Task AnswerAsync(HttpContext context, string path, Caller? caller) => await JsonAnswer.WriteAsync(
        context.Response, await collector.CollectAsync(context.RequestAborted), CollectionJson.Default.CollectionReport, context.RequestAborted);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CollectionReport))]
internal sealed partial class CollectionJson : JsonSerializerContext;
