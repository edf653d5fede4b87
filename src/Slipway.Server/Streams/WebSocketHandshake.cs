using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Slipway.Engine;

namespace Slipway.Server.Streams;

/// <summary>The opening handshake of a websocket (RFC 6455, section 4.2).</summary>
internal static class WebSocketHandshake
{
    private const string Version = "13";
    private const int KeyLength = 16;

    /// <summary>Section 1.3: what proves that the server knows the protocol.</summary>
    private const string Magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    /// <returns>The answer that opens the websocket, a whole HTTP head.</returns>
    /// <exception cref="EngineException">InvalidParameter: it is no websocket that is asked for, or of another version.</exception>
    public static byte[] Answer(HttpRequest request)
    {
        IHeaderDictionary headers = request.Headers;
        string key = headers.SecWebSocketKey.ToString().Trim();
        bool valid = Has(headers.Connection.ToString(), "Upgrade") && Has(headers.Upgrade.ToString(), "websocket") && IsKey(key);
        if (!valid)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "not websocket protocol");
        }

        if (headers.SecWebSocketVersion.ToString().Trim() != Version)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"missing or bad WebSocket version: only {Version} is supported");
        }

        return Encoding.ASCII.GetBytes($"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {Accept(key)}\r\n\r\n");
    }

#pragma warning disable CA5350 // The protocol's own choice; nothing is kept secret by it.
    private static string Accept(string key) => Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + Magic)));
#pragma warning restore CA5350

    private static bool Has(string list, string word) => list.Split(',').Any(item => item.Trim().Equals(word, StringComparison.OrdinalIgnoreCase));

    private static bool IsKey(string key)
    {
        Span<byte> bytes = stackalloc byte[KeyLength + 2];
        return key.Length == 24 && Convert.TryFromBase64String(key, bytes, out int length) && length == KeyLength;
    }
}
