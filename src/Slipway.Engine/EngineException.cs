namespace Slipway.Engine;

/// <summary>What kind of error it is; the API maps each to one HTTP status, once (Server/Errors).</summary>
public enum ErrorKind
{
    /// <summary>400.</summary>
    InvalidParameter,

    /// <summary>401.</summary>
    Unauthorized,

    /// <summary>403.</summary>
    Forbidden,

    /// <summary>404.</summary>
    NotFound,

    /// <summary>409.</summary>
    Conflict,

    /// <summary>304, without a body: the object is already in the state asked for.</summary>
    NotModified,

    /// <summary>500: the engine or the host failed.</summary>
    System,

    /// <summary>500 too: what somebody else was asked, a registry, is not to be had. Neither the engine nor the host failed.</summary>
    Remote,

    /// <summary>501.</summary>
    NotImplemented,

    /// <summary>503.</summary>
    Unavailable,
}

/// <summary>An error a client is told of. Texts that clients match on are Docker's.</summary>
public sealed class EngineException(ErrorKind kind, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public ErrorKind Kind { get; } = kind;
}
