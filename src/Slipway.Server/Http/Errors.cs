using Microsoft.AspNetCore.Http;
using Slipway.Engine;

namespace Slipway.Server.Http;

/// <summary>The one place where an error becomes a status and a text.</summary>
internal static class Errors
{
    /// <summary>Swarm operations on an engine that is no member of one; clients match on the text.</summary>
    public const string NotASwarmManager =
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

    public static int Status(ErrorKind kind) => kind switch
    {
        ErrorKind.InvalidParameter => StatusCodes.Status400BadRequest,
        ErrorKind.Unauthorized => StatusCodes.Status401Unauthorized,
        ErrorKind.Forbidden => StatusCodes.Status403Forbidden,
        ErrorKind.NotFound => StatusCodes.Status404NotFound,
        ErrorKind.Conflict => StatusCodes.Status409Conflict,
        ErrorKind.NotModified => StatusCodes.Status304NotModified,
        ErrorKind.NotImplemented => StatusCodes.Status501NotImplemented,
        ErrorKind.Unavailable => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status500InternalServerError,
    };

    /// <summary>Whether <paramref name="error"/> tells of a defect of the engine or its host, so that its operator should hear of it.</summary>
    public static bool IsInternal(Exception error) => error is not (BadHttpRequestException or EngineException { Kind: not ErrorKind.System });

    public static (int Status, string Message) Describe(Exception error) => error switch
    {
        EngineException engine => (Status(engine.Kind), engine.Message),
        BadHttpRequestException bad => (bad.StatusCode, bad.Message),
        _ => (StatusCodes.Status500InternalServerError, error.Message),
    };
}
