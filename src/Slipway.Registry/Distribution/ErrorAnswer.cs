using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Slipway.Registry.Distribution.Authentication;
using Slipway.Registry.Distribution.Transport;

namespace Slipway.Registry.Distribution;

/// <summary>
/// A refusal as the registry put it (distribution-spec, "Error Codes"), and where it said nothing, what its status means. Texts have the form
/// of Docker's: the code in lower case, a colon, the message.
/// </summary>
/// <param name="Code">Upper case with underscores; empty where there is none.</param>
internal sealed record ErrorAnswer(HttpStatusCode Status, string Code, string Message)
{
    private const int LargestBody = 64 << 10;
    private const int LongestMessage = 1024;

    public string Text => Code.Length == 0 ? Message : $"{Code.ToLowerInvariant().Replace('_', ' ')}: {Message}";

    public RegistryErrorKind Kind => (Code, Status) switch
    {
        ("NAME_UNKNOWN" or "MANIFEST_UNKNOWN" or "BLOB_UNKNOWN" or "BLOB_UPLOAD_UNKNOWN", _) => RegistryErrorKind.NotFound,
        ("UNAUTHORIZED", _) => RegistryErrorKind.Unauthorized,
        ("DENIED", _) => RegistryErrorKind.Denied,
        ("TOOMANYREQUESTS", _) => RegistryErrorKind.Unavailable,
        (_, HttpStatusCode.NotFound) => RegistryErrorKind.NotFound,
        (_, HttpStatusCode.Unauthorized) => RegistryErrorKind.Unauthorized,
        (_, HttpStatusCode.Forbidden) => RegistryErrorKind.Denied,
        (_, HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError) => RegistryErrorKind.Unavailable,
        _ => RegistryErrorKind.Refused,
    };

    public RegistryException ToException() => new(Kind, Text);

    /// <summary>Reads the refusal from an answer that is none of success. A body that cannot be read does not hide the status.</summary>
    /// <param name="whenSilent">The code that a 404 without a body stands for.</param>
    public static async Task<ErrorAnswer> ReadAsync(HttpResponseMessage answer, CancellationToken cancellationToken, string whenSilent = "")
    {
        var status = answer.StatusCode;
        if ((int)status is < 400 or >= 500)
        {
            return new ErrorAnswer(status, "", $"received unexpected HTTP status: {(int)status} {ReasonPhrase(status)}");
        }

        // RFC 6750 3.1: the challenge says why a token was not enough.
        foreach (var challenge in AuthenticationChallenge.Of(answer.Headers).Where(challenge => challenge.Scheme == "bearer"))
        {
            if (challenge["error"] is "insufficient_scope" or "invalid_token")
            {
                var code = challenge["error"] == "insufficient_scope" ? "DENIED" : "UNAUTHORIZED";
                return new ErrorAnswer(status, code, Clean(challenge["error_description"]) is { Length: > 0 } description ? description : DefaultMessage(code));
            }
        }

        return await ReadBodyAsync(answer, cancellationToken).ConfigureAwait(false) ?? Silent(status, whenSilent);
    }

    private static async Task<ErrorAnswer?> ReadBodyAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        ErrorDocument? document;
        try
        {
            var body = await BoundedBody.ReadAsync(answer, LargestBody, "the error", cancellationToken).ConfigureAwait(false);
            if (answer.Content.Headers.ContentType?.MediaType == "text/plain")
            {
                return CodeOf(answer.StatusCode) is { Length: > 0 } plain && Clean(Encoding.UTF8.GetString(body)) is { Length: > 0 } text ? new ErrorAnswer(answer.StatusCode, plain, text) : null;
            }

            document = body.Length == 0 ? null : JsonSerializer.Deserialize(body, ErrorJson.Default.ErrorDocument);
        }
        catch (Exception error) when (error is JsonException or ConnectionException or RegistryException)
        {
            return null;
        }

        if (document?.Errors is { Count: > 0 } errors && errors[0] is { } first)
        {
            var code = Clean(first.Code).ToUpperInvariant();
            return new ErrorAnswer(answer.StatusCode, code, Clean(first.Message) is { Length: > 0 } message ? message : DefaultMessage(code));
        }

        // Docker Hub's token server has a form of its own.
        return Clean(document?.Details) is { Length: > 0 } details ? new ErrorAnswer(answer.StatusCode, CodeOf(answer.StatusCode), details) : null;
    }

    private static ErrorAnswer Silent(HttpStatusCode status, string whenSilent)
    {
        var code = CodeOf(status) is { Length: > 0 } known ? known : status == HttpStatusCode.NotFound ? whenSilent : "";
        return code.Length > 0
            ? new ErrorAnswer(status, code, DefaultMessage(code))
            : new ErrorAnswer(status, "", $"received unexpected HTTP status: {(int)status} {ReasonPhrase(status)}");
    }

    private static string CodeOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.Unauthorized => "UNAUTHORIZED",
        HttpStatusCode.Forbidden => "DENIED",
        HttpStatusCode.TooManyRequests => "TOOMANYREQUESTS",
        _ => "",
    };

    private static string DefaultMessage(string code) => code switch
    {
        "UNAUTHORIZED" => "authentication required",
        "DENIED" => "requested access to the resource is denied",
        "TOOMANYREQUESTS" => "too many requests",
        "MANIFEST_UNKNOWN" => "manifest unknown",
        "NAME_UNKNOWN" => "repository name not known to registry",
        "BLOB_UNKNOWN" => "blob unknown to registry",
        "UNSUPPORTED" => "The operation is unsupported.",
        _ => "unknown error",
    };

    public static string ReasonPhrase(HttpStatusCode status) => status switch
    {
        HttpStatusCode.InternalServerError => "Internal Server Error",
        HttpStatusCode.NotImplemented => "Not Implemented",
        HttpStatusCode.BadGateway => "Bad Gateway",
        HttpStatusCode.ServiceUnavailable => "Service Unavailable",
        HttpStatusCode.GatewayTimeout => "Gateway Timeout",
        HttpStatusCode.NotFound => "Not Found",
        HttpStatusCode.BadRequest => "Bad Request",
        HttpStatusCode.MethodNotAllowed => "Method Not Allowed",
        _ => status.ToString(),
    };

    /// <summary>A registry's words end on a terminal: without control characters, and not endless.</summary>
    private static string Clean(string? text) =>
        text is null ? "" : new string([.. text.Take(LongestMessage).Where(c => !char.IsControl(c))]).Trim();
}

internal sealed record ErrorDocument
{
    [JsonPropertyName("errors")]
    public IReadOnlyList<ErrorItem?>? Errors { get; init; }

    [JsonPropertyName("details")]
    public string? Details { get; init; }
}

internal sealed record ErrorItem
{
    [JsonPropertyName("code")]
    public string? Code { get; init; }

    [JsonPropertyName("message")]
    public string? Message { get; init; }
}

[JsonSourceGenerationOptions(MaxDepth = 32)]
[JsonSerializable(typeof(ErrorDocument))]
internal sealed partial class ErrorJson : JsonSerializerContext;
