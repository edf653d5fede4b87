using Microsoft.AspNetCore.Http;
using Slipway.Registry.Server.Access;

namespace Slipway.Registry.Server.Http;

/// <summary>What the server answers beside the API of registries: the web page, metrics, tokens, the collection of garbage.</summary>
internal interface IPage
{
    bool Matches(string method, string path);

    /// <summary>Whether it sees to access itself.</summary>
    bool IsPublic { get; }

    bool Admits(Caller caller, string path);

    /// <param name="caller">Null where the page is public.</param>
    Task AnswerAsync(HttpContext context, string path, Caller? caller);
}
