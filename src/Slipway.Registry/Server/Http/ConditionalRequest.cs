using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Slipway.Registry.Server.Http;

/// <summary>Conditions and ranges of a request (RFC 9110, sections 13 and 14). Entities are named by their digest, so validators are strong.</summary>
internal static class ConditionalRequest
{
    /// <summary>Whether If-None-Match names the entity: 304.</summary>
    public static bool IsUnchanged(HttpRequest request, string etag)
    {
        Microsoft.Extensions.Primitives.StringValues header = request.Headers.IfNoneMatch;
        if (header.Count == 0)
        {
            return false;
        }

        // Weak comparison (13.1.2). Clients are seen that leave the quotes away.
        return header.SelectMany(value => (value ?? "").Split(',', StringSplitOptions.TrimEntries)).Any(candidate =>
            candidate == "*" || Bare(candidate).SequenceEqual(etag.AsSpan(1, etag.Length - 2)));

        static ReadOnlySpan<char> Bare(ReadOnlySpan<char> text) => (text.StartsWith("W/") ? text[2..] : text).Trim('"');
    }

    /// <summary>The one range that is asked for; null for the whole. Several ranges, other units and what is malformed are ignored (14.2).</summary>
    /// <exception cref="RegistryError">416: nothing of the entity is in it.</exception>
    public static ByteRange? Range(HttpRequest request, HttpResponse response, string etag, long length)
    {
        if (!RangeHeaderValue.TryParse(request.Headers.Range.ToString(), out RangeHeaderValue? header)
            || !header.Unit.Equals("bytes", StringComparison.OrdinalIgnoreCase) || header.Ranges.Count != 1)
        {
            return null;
        }

        // If-Range with another entity: the client has the beginning of something else (13.1.5). A date names none.
        string ifRange = request.Headers.IfRange.ToString();
        if (ifRange.Length > 0 && ifRange != etag)
        {
            return null;
        }

        RangeItemHeaderValue range = header.Ranges.First();
        long first = range.From ?? Math.Max(0, length - range.To!.Value);
        long last = range.From is null ? length - 1 : Math.Min(range.To ?? long.MaxValue, length - 1);
        if (first > last)
        {
            response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{length}");
            throw new RegistryError(StatusCodes.Status416RangeNotSatisfiable, "RANGE_INVALID", $"the blob has {length} bytes");
        }

        return new ByteRange(first, last - first + 1);
    }
}

/// <param name="Offset">Of the first byte.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct ByteRange(long Offset, long Length);
