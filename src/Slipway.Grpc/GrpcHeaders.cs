using System.Globalization;
using System.Text;
using Google.Protobuf;

namespace Slipway.Grpc;

/// <summary>Names and encodings of what gRPC says in headers and trailers (grpc/doc/PROTOCOL-HTTP2.md).</summary>
internal static class GrpcHeaders
{
    public const string ContentType = "application/grpc";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";
    public const string Details = "grpc-status-details-bin";
    public const string Timeout = "grpc-timeout";

    /// <summary>Details that would not fit into a client's header list are left out: the status itself has to arrive (SETTINGS_MAX_HEADER_LIST_SIZE).</summary>
    private const int MaxDetails = 16 * 1024;

    /// <summary>The longest text of an error in a trailer, in bytes before encoding.</summary>
    private const int MaxMessage = 8 * 1024;

    /// <summary>What the trailers of a failed call say.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Trailers(GrpcException error)
    {
        yield return new(Status, ((int)error.Code).ToString(CultureInfo.InvariantCulture));
        if (error.Message.Length > 0)
        {
            yield return new(Message, Encode(error.Message));
        }

        if (error.Details.Count > 0 && error.ToStatus().ToByteArray() is { Length: <= MaxDetails } details)
        {
            yield return new(Details, Convert.ToBase64String(details).TrimEnd('='));
        }
    }

    /// <summary>The error that trailers tell of; null where they say that all went well.</summary>
    public static GrpcException? Error(string? status, string? message, string? details)
    {
        if (!int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            return new GrpcException(GrpcStatusCode.Internal, "the call ended without a status");
        }

        if (number == 0)
        {
            return null;
        }

        return details is not null && TryParseDetails(details) is { } whole
            ? GrpcException.From(whole)
            : new GrpcException(GrpcException.ToCode(number), Decode(message ?? ""));
    }

    /// <summary>A timeout as <c>20S</c> or <c>14999969u</c>; null where there is none or it is malformed.</summary>
    public static TimeSpan? ParseTimeout(string? value)
    {
        if (value is not { Length: > 1 and <= 9 } || !long.TryParse(value.AsSpan(0, value.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out long amount))
        {
            return null;
        }

        TimeSpan? timeout = value[^1] switch
        {
            'H' => TimeSpan.FromHours(amount),
            'M' => TimeSpan.FromMinutes(amount),
            'S' => TimeSpan.FromSeconds(amount),
            'm' => TimeSpan.FromMilliseconds(amount),
            'u' => TimeSpan.FromMicroseconds(amount),
            'n' => TimeSpan.FromMicroseconds(amount / 1000.0),
            _ => null,
        };

        // What a timer cannot count is as good as no limit.
        return timeout > TimeSpan.FromDays(40) ? null : timeout;
    }

    /// <summary>Percent-encodes what is not printable ASCII, and the percent sign.</summary>
    internal static string Encode(string message)
    {
        StringBuilder encoded = new(message.Length);
        byte[] bytes = Encoding.UTF8.GetBytes(message);
        foreach (byte b in bytes.AsSpan(0, Math.Min(bytes.Length, MaxMessage)))
        {
            if (b is >= 0x20 and <= 0x7e and not (byte)'%')
            {
                encoded.Append((char)b);
            }
            else
            {
                encoded.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
            }
        }

        return encoded.ToString();
    }

    internal static string Decode(string message) => Uri.UnescapeDataString(message);

    private static RpcStatus? TryParseDetails(string base64)
    {
        string padded = base64.PadRight((base64.Length + 3) / 4 * 4, '=');
        byte[] bytes = new byte[padded.Length / 4 * 3];
        if (!Convert.TryFromBase64String(padded, bytes, out int length))
        {
            return null;
        }

        try
        {
            return RpcStatus.Parser.ParseFrom(bytes, 0, length);
        }
        catch (InvalidProtocolBufferException)
        {
            // The number and the text are there all the same.
            return null;
        }
    }
}
