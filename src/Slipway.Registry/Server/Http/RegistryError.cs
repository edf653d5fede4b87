using Microsoft.AspNetCore.Http;

namespace Slipway.Registry.Server.Http;

/// <summary>A refusal, with the code that clients look at (distribution-spec, "Error Codes").</summary>
internal sealed class RegistryError(int status, string code, string message) : Exception(message)
{
    public int Status { get; } = status;

    public string Code { get; } = code;

    /// <summary>The rest of the request's body is not worth reading: the connection is closed after the answer.</summary>
    public bool ClosesConnection { get; init; }

    public static RegistryError BlobUnknown() => new(StatusCodes.Status404NotFound, "BLOB_UNKNOWN", "blob unknown to registry");

    public static RegistryError UploadUnknown() => new(StatusCodes.Status404NotFound, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");

    public static RegistryError UploadInvalid(string message) => new(StatusCodes.Status400BadRequest, "BLOB_UPLOAD_INVALID", message);

    public static RegistryError DigestInvalid(string message) => new(StatusCodes.Status400BadRequest, "DIGEST_INVALID", message);

    public static RegistryError SizeInvalid(string message) => new(StatusCodes.Status400BadRequest, "SIZE_INVALID", message);

    public static RegistryError ManifestUnknown(string reference) =>
        new(StatusCodes.Status404NotFound, "MANIFEST_UNKNOWN", $"manifest unknown: {reference}");

    public static RegistryError ManifestInvalid(string message) => new(StatusCodes.Status400BadRequest, "MANIFEST_INVALID", message);

    /// <summary>Larger than a manifest may be (distribution-spec, "Pushing Manifests").</summary>
    public static RegistryError ManifestTooLarge(int limit) =>
        new(StatusCodes.Status413PayloadTooLarge, "SIZE_INVALID", $"a manifest has at most {limit} bytes") { ClosesConnection = true };

    public static RegistryError NameInvalid() => new(StatusCodes.Status400BadRequest, "NAME_INVALID", "invalid repository name");

    public static RegistryError NameUnknown(RepositoryName name) =>
        new(StatusCodes.Status404NotFound, "NAME_UNKNOWN", $"repository name not known to registry: {name}");

    public static RegistryError TagInvalid() => new(StatusCodes.Status400BadRequest, "TAG_INVALID", "neither a tag nor a digest");

    public static RegistryError PageInvalid(string message) => new(StatusCodes.Status400BadRequest, "PAGINATION_NUMBER_INVALID", message);

    public static RegistryError Unauthorized(string message = "authentication required") => new(StatusCodes.Status401Unauthorized, "UNAUTHORIZED", message);

    public static RegistryError Denied(string message = "requested access to the resource is denied") => new(StatusCodes.Status403Forbidden, "DENIED", message);

    /// <summary>A token that does not allow it; another might.</summary>
    public static RegistryError Insufficient() => new(StatusCodes.Status401Unauthorized, "DENIED", "requested access to the resource is denied");

    public static RegistryError Unsupported(string message) => new(StatusCodes.Status405MethodNotAllowed, "UNSUPPORTED", message);

    public static RegistryError TooManyRequests(string message) => new(StatusCodes.Status429TooManyRequests, "TOOMANYREQUESTS", message);

    public static RegistryError PageNotFound() => new(StatusCodes.Status404NotFound, "UNSUPPORTED", "there is no such page");

    public static RegistryError NoSpace() => new(StatusCodes.Status507InsufficientStorage, "UNAVAILABLE", "no space left on the registry's device");

    public static RegistryError Unavailable(string message) => new(StatusCodes.Status502BadGateway, "UNAVAILABLE", message);
}
