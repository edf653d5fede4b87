namespace Slipway.Registry.Distribution;

/// <summary>What a registry answered, or that it did not; the text is Docker's where Docker has one.</summary>
public sealed class RegistryException(RegistryErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    public RegistryErrorKind Kind { get; } = kind;
}

public enum RegistryErrorKind
{
    /// <summary>The repository, manifest or blob does not exist, or may not be seen.</summary>
    NotFound,

    /// <summary>Who asks is not known: 401.</summary>
    Unauthorized,

    /// <summary>Who asks may not: 403.</summary>
    Denied,

    /// <summary>What the registry sent is not what it promised: digest, size, type, endless or malformed.</summary>
    Invalid,

    /// <summary>No answer, or an answer of 5xx or 429 after all retries.</summary>
    Unavailable,

    /// <summary>The registry answered another refusal.</summary>
    Refused,
}
