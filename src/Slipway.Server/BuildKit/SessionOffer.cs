using Microsoft.AspNetCore.Http;
using Slipway.Engine;

namespace Slipway.Server.BuildKit;

/// <summary>What a client says of itself when it opens a session.</summary>
internal sealed record SessionOffer(string Id, string Name, string SharedKey, IReadOnlyList<string> Methods)
{
    private const string Prefix = "X-Docker-Expose-Session-";
    private const int MaxLength = 256;
    private const int MaxMethods = 256;

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static SessionOffer Read(IHeaderDictionary headers)
    {
        string id = headers[Prefix + "Uuid"].ToString();
        string name = headers[Prefix + "Name"].ToString();
        string sharedKey = headers[Prefix + "Sharedkey"].ToString();
        List<string> methods = [.. headers[Prefix + "Grpc-Method"].OfType<string>()];
        return id.Length is > 0 and <= MaxLength && name.Length <= MaxLength && sharedKey.Length <= 2 * MaxLength && methods.Count <= MaxMethods
            ? new SessionOffer(id, name, sharedKey, methods)
            : throw new EngineException(ErrorKind.InvalidParameter, "a session needs an id of at most 256 characters");
    }
}
