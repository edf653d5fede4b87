namespace Slipway.Storage;

/// <summary>What went wrong, in the terms that decide the HTTP status.</summary>
public enum StorageErrorKind
{
    /// <summary>No such image, layer, container or name.</summary>
    NotFound,

    /// <summary>The object is in use or already exists.</summary>
    Conflict,

    /// <summary>The caller's input is not acceptable: a malformed name, archive or document, or one beyond a limit.</summary>
    InvalidParameter,

    /// <summary>What is to be changed is read-only.</summary>
    ReadOnly,

    /// <summary>The host failed: no space left, an I/O error, a damaged store.</summary>
    System,
}

/// <summary>An expected failure of the store. The message is Docker's where clients match on it.</summary>
public sealed class StorageException : Exception
{
    public StorageException(StorageErrorKind kind, string message, Exception? innerException = null) : base(message, innerException) => Kind = kind;

    public StorageErrorKind Kind { get; }
}
