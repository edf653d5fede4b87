using System.Buffers;
using System.IO.Pipelines;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Slipway.Api;
using Slipway.Engine;

namespace Slipway.Server.Http;

/// <summary>
/// JSON bodies of requests. They are bounded and read whole before anything is decided on them, however they are framed; what is decided
/// on is the object that was parsed, and nothing else (CVE-2024-41110, CVE-2026-34040).
/// </summary>
internal static class JsonBody
{
    public const string ContentType = "application/json";

    /// <summary>A generous seccomp profile has 20 kB.</summary>
    public const int MaxBytes = 4 * 1024 * 1024;

    /// <summary>Reads the body as Docker does: names in any case, unknown ones passed over.</summary>
    /// <param name="strict">Others have decided on the body's text: it has to say what it says in one way alone (<see cref="JsonSpelling"/>).</param>
    /// <returns>Null where there is no body, or it is <c>null</c>.</returns>
    /// <exception cref="EngineException">InvalidParameter: not JSON by its header, not JSON, of other types, more than one document.</exception>
    /// <exception cref="BadHttpRequestException">413: longer than <see cref="MaxBytes"/>.</exception>
    public static async Task<T?> ReadAsync<T>(HttpRequest request, bool strict, CancellationToken cancellationToken) where T : class
    {
        bool empty = !HasBody(request);
        CheckContentType(request.ContentType, empty);
        if (empty)
        {
            return null;
        }

        ReadOnlySequence<byte> body = await ReadWholeAsync(request, cancellationToken);
        try
        {
            // In one piece: over several, Utf8JsonReader of .NET 10 fails with IndexOutOfRangeException on some malformed literals.
            ReadOnlyMemory<byte> text = body.IsSingleSegment ? body.First : body.ToArray();
            T? value = Parse<T>(text.Span);
            if (strict)
            {
                JsonSpelling.Check(text, RequestJson.Of<T>());
            }

            return value;
        }
        finally
        {
            request.BodyReader.AdvanceTo(body.End);
        }
    }

    public static bool HasBody(HttpRequest request) => request.ContentLength > 0 || (request.ContentLength is null && request.Headers.ContainsKey("Transfer-Encoding"));

    /// <summary>The whole body, however it is framed. It stays in the reader, which the caller has to advance over it.</summary>
    /// <exception cref="BadHttpRequestException">413: longer than <see cref="MaxBytes"/>.</exception>
    public static async Task<ReadOnlySequence<byte>> ReadWholeAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        if (request.ContentLength > MaxBytes)
        {
            throw TooLarge();
        }

        while (true)
        {
            ReadResult result = await request.BodyReader.ReadAsync(cancellationToken);
            if (result.Buffer.Length > MaxBytes)
            {
                request.BodyReader.AdvanceTo(result.Buffer.End);
                throw TooLarge();
            }

            if (result.IsCompleted)
            {
                return result.Buffer;
            }

            request.BodyReader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    /// <summary>Reads past a body that nothing is decided on: some clients repeat the query in it, and behind it come bytes that mean something.</summary>
    /// <exception cref="BadHttpRequestException">413: longer than <see cref="MaxBytes"/>.</exception>
    public static async Task SkipAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        for (long left = request.ContentLength ?? 0; left > 0;)
        {
            if (left > MaxBytes)
            {
                throw TooLarge();
            }

            ReadResult result = await request.BodyReader.ReadAsync(cancellationToken);
            left -= result.Buffer.Length;
            request.BodyReader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                return;
            }
        }
    }

    /// <summary>Whether a request says that a body of JSON comes with it.</summary>
    public static bool IsExpected(HttpRequest request) =>
        (request.ContentLength > 0 || request.Headers.ContainsKey("Transfer-Encoding"))
        && request.ContentType?.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase) == true;

    internal static T? Parse<T>(ReadOnlySpan<byte> body) where T : class
    {
        Utf8JsonReader reader = new(body, new JsonReaderOptions { AllowMultipleValues = true, MaxDepth = 64 });
        try
        {
            if (!reader.Read())
            {
                throw Invalid("invalid JSON: got EOF while reading request body");
            }

            T? value = JsonSerializer.Deserialize(ref reader, RequestJson.Of<T>());
            if (HasMore(body[(int)reader.BytesConsumed..]))
            {
                throw Invalid("unexpected content after JSON");
            }

            return HasNullElement(body) ? throw Invalid("invalid JSON: null is no element of a list") : value;
        }
        catch (JsonException e)
        {
            throw Invalid("invalid JSON: " + Describe(e, body), e);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException)
        {
            // Text that is not UTF-8 where a string is expected.
            throw Invalid("invalid JSON: " + e.Message, e);
        }
    }

    /// <summary>A missing header is as good as the right one where there is no body.</summary>
    private static void CheckContentType(string? header, bool empty)
    {
        if (string.IsNullOrEmpty(header) && empty)
        {
            return;
        }

        if (!MediaTypeHeaderValue.TryParse(header, out MediaTypeHeaderValue? media))
        {
            throw Invalid($"malformed Content-Type header ({header}): mime: no media type");
        }

        if (!string.Equals(media.MediaType, ContentType, StringComparison.OrdinalIgnoreCase))
        {
            throw Invalid($"unsupported Content-Type header ({header}): must be '{ContentType}'");
        }
    }

    /// <summary>Whether a list has an element that is null, which none of the API's may: what reads them need not ask.</summary>
    private static bool HasNullElement(ReadOnlySpan<byte> body)
    {
        Utf8JsonReader reader = new(body, new JsonReaderOptions { MaxDepth = 64 });
        ulong lists = 0; // A bit for each depth.
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartArray:
                    lists |= 1UL << reader.CurrentDepth;
                    break;
                case JsonTokenType.StartObject:
                    lists &= ~(1UL << reader.CurrentDepth);
                    break;
                case JsonTokenType.Null when reader.CurrentDepth > 0 && (lists & (1UL << (reader.CurrentDepth - 1))) != 0:
                    return true;
            }
        }

        return false;
    }

    private static bool HasMore(ReadOnlySpan<byte> rest) => rest.ContainsAnyExcept(" \t\r\n"u8);

    /// <summary>What is wrong and where, without the names of our types.</summary>
    private static string Describe(JsonException error, ReadOnlySpan<byte> body)
    {
        if (!IsComplete(body))
        {
            return "unexpected EOF";
        }

        if (error.Message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal))
        {
            return $"wrong type or value of field {error.Path}";
        }

        int end = error.Message.IndexOf(" Path:", StringComparison.Ordinal);
        string what = end < 0 ? error.Message : error.Message[..end];
        int position = what.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return (position < 0 ? what : what[..position]).TrimEnd('.', ' ') + (error.Path is { Length: > 1 } path ? $" at {path}" : "");
    }

    /// <summary>False where the document is well-formed as far as it goes, but ends too early.</summary>
    private static bool IsComplete(ReadOnlySpan<byte> body)
    {
        Utf8JsonReader reader = new(body, isFinalBlock: false, new JsonReaderState(new JsonReaderOptions { AllowMultipleValues = true }));
        try
        {
            while (reader.Read())
            {
            }
        }
        catch (JsonException)
        {
            return true;
        }

        // At the start of an object or list the depth is still that of what it stands in.
        return reader.CurrentDepth == 0
            && reader.TokenType is not (JsonTokenType.None or JsonTokenType.StartObject or JsonTokenType.StartArray)
            && !HasMore(body[(int)reader.BytesConsumed..]);
    }

    private static BadHttpRequestException TooLarge() =>
        new($"request body too large: a JSON body has at most {MaxBytes} bytes", StatusCodes.Status413PayloadTooLarge);

    private static EngineException Invalid(string message, Exception? cause = null) => new(ErrorKind.InvalidParameter, message, cause);
}
