using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Slipway.Api;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary><c>--log-driver gelf</c>: GELF 1.1 over udp, compressed and in chunks, or over tcp, each message ended by a zero byte.</summary>
internal sealed class GelfDriver : ILogSink
{
    private const int Error = 3;
    private const int Informational = 6;

    /// <summary>What passes an Ethernet of 1500 bytes with headers to spare; larger messages are cut (GELF, "Chunking").</summary>
    private const int DatagramBytes = 1420;
    private const int ChunkHeaderBytes = 12;
    private const int MaxChunks = 128;

    private readonly LogSubject _subject;
    private readonly LogEndpoint _endpoint;
    private readonly LogConnection _connection;
    private readonly string _tag;
    private readonly SortedDictionary<string, string> _attributes;
    private readonly string _compression;
    private readonly CompressionLevel _level;

    private GelfDriver(LogSubject subject)
    {
        _subject = subject;
        _endpoint = Endpoint(subject.Options);
        _connection = new LogConnection(_endpoint);
        _tag = subject.Tag();
        _attributes = subject.Attributes();
        _compression = _endpoint.IsDatagram ? subject.Option("gelf-compression-type") ?? "gzip" : "none";

        // zlib's numbers: -1 is its default, 1 Docker's.
        _level = int.Parse(subject.Option("gelf-compression-level") ?? "1", CultureInfo.InvariantCulture) switch
        {
            0 => CompressionLevel.NoCompression,
            1 or 2 or 3 => CompressionLevel.Fastest,
            9 => CompressionLevel.SmallestSize,
            _ => CompressionLevel.Optimal,
        };
        MaxAttempts = 1 + (subject.Option("gelf-tcp-max-reconnect") is { } reconnects ? int.Parse(reconnects, CultureInfo.InvariantCulture) : 3);
        RetryPause = TimeSpan.FromSeconds(subject.Option("gelf-tcp-reconnect-delay") is { } delay ? int.Parse(delay, CultureInfo.InvariantCulture) : 1);
    }

    public TimeSpan RetryPause { get; }

    public int MaxAttempts { get; }

    /// <exception cref="FormatException">In Docker's words.</exception>
    public static void Validate(IReadOnlyDictionary<string, string> options)
    {
        LogEndpoint endpoint = Endpoint(options);
        foreach ((string key, string value) in options)
        {
            bool number = int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int parsed);
            switch (key)
            {
                case "gelf-address":
                    break;
                case "gelf-compression-level" or "gelf-compression-type" when !endpoint.IsDatagram:
                    throw new FormatException("compression is only supported on UDP");
                case "gelf-compression-level" when !number || parsed is < -1 or > 9:
                case "gelf-compression-type" when value is not ("gzip" or "zlib" or "none"):
                    throw new FormatException($"unknown value \"{value}\" for log opt \"{key}\" for gelf log driver");
                case "gelf-compression-level" or "gelf-compression-type":
                    break;
                case "gelf-tcp-max-reconnect" or "gelf-tcp-reconnect-delay" when endpoint.IsDatagram:
                    throw new FormatException($"\"{key}\" is only valid for TCP");
                case "gelf-tcp-max-reconnect" or "gelf-tcp-reconnect-delay" when !number || parsed < 0:
                    throw new FormatException($"\"{key}\" must be a positive integer");
                case "gelf-tcp-max-reconnect" or "gelf-tcp-reconnect-delay":
                    break;
                default:
                    throw new FormatException($"unknown log opt \"{key}\" for gelf log driver");
            }
        }
    }

    public static GelfDriver Create(LogSubject subject) => new(subject);

    public async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _connection.OpenAsync(cancellationToken);
        }
        catch (IOException exception)
        {
            throw new IOException($"gelf: cannot connect to GELF endpoint: {_endpoint.Address} {exception.Message}", exception);
        }
    }

    public async ValueTask SendAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> text = entry.Text.TrimEnd((byte)'\n');
        if (text.IsEmpty)
        {
            return;
        }

        ReadOnlyMemory<byte> message = Message(entry, text);
        if (!_endpoint.IsDatagram)
        {
            await _connection.SendAsync((byte[])[.. message.Span, 0], cancellationToken);
            return;
        }

        message = Compress(message);
        if (message.Length <= DatagramBytes)
        {
            await _connection.SendAsync(message, cancellationToken);
            return;
        }

        const int share = DatagramBytes - ChunkHeaderBytes;
        int chunks = (message.Length + share - 1) / share;
        byte[] id = RandomNumberGenerator.GetBytes(8);

        // More than a receiver puts together cannot be sent; a record of 16 KiB never gets near.
        for (int i = 0; i < Math.Min(chunks, MaxChunks); i++)
        {
            ReadOnlyMemory<byte> part = message.Slice(i * share, Math.Min(share, message.Length - (i * share)));
            await _connection.SendAsync((byte[])[0x1E, 0x0F, .. id, (byte)i, (byte)chunks, .. part.Span], cancellationToken);
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private ReadOnlyMemory<byte> Message(LogEntry entry, ReadOnlyMemory<byte> text)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            json.WriteString("version", "1.1");
            json.WriteString("host", System.Environment.MachineName);
            json.WriteString("short_message", Encoding.UTF8.GetString(text.Span));
            json.WriteNumber("timestamp", entry.Time.ToUnixTimeMilliseconds() / 1000m);
            json.WriteNumber("level", entry.Stream == LogStream.Stderr ? Error : Informational);
            json.WriteString("_command", _subject.Command);
            json.WriteString("_container_id", _subject.Id);
            json.WriteString("_container_name", _subject.Name);
            json.WriteString("_created", Rfc3339.Format(_subject.Created));
            json.WriteString("_image_id", _subject.ImageId);
            json.WriteString("_image_name", _subject.ImageName);
            json.WriteString("_tag", _tag);
            foreach ((string name, string value) in _attributes)
            {
                json.WriteString(name.StartsWith('_') ? name : "_" + name, value);
            }

            json.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    private ReadOnlyMemory<byte> Compress(ReadOnlyMemory<byte> message)
    {
        if (_compression == "none")
        {
            return message;
        }

        MemoryStream compressed = new();
        using (Stream compressor = _compression == "gzip" ? new GZipStream(compressed, _level, leaveOpen: true) : new ZLibStream(compressed, _level, leaveOpen: true))
        {
            compressor.Write(message.Span);
        }

        return compressed.GetBuffer().AsMemory(0, (int)compressed.Length);
    }

    private static LogEndpoint Endpoint(IReadOnlyDictionary<string, string> options)
    {
        if (options.GetValueOrDefault("gelf-address") is not { Length: > 0 } address)
        {
            throw new FormatException("gelf-address is a required parameter");
        }

        if (LogEndpoint.Scheme(address) is not (("udp" or "tcp") and var scheme, var rest))
        {
            throw new FormatException("gelf: endpoint needs to be TCP or UDP");
        }

        try
        {
            return new LogEndpoint(scheme, LogEndpoint.HostAndPort(rest, defaultPort: null));
        }
        catch (FormatException)
        {
            throw new FormatException("gelf: please provide gelf-address as proto://host:port");
        }
    }
}
