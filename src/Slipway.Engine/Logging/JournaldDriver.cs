using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Slipway.Api;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary><c>--log-driver journald</c>: datagrams of fields to the journal's socket (systemd, "Native Journal Protocol").</summary>
internal sealed class JournaldDriver : ILogSink
{
    private readonly LogConnection _connection;
    private readonly byte[] _fields;
    private readonly PartialLines _partials = new();
    private long _ordinal;

    private JournaldDriver(LogSubject subject, string socket)
    {
        _connection = new LogConnection(new LogEndpoint("unixgram", socket));
        string tag = subject.Tag();
        MemoryStream fields = new();
        Append(fields, "CONTAINER_ID", subject.Id[..12]);
        Append(fields, "CONTAINER_ID_FULL", subject.Id);
        Append(fields, "CONTAINER_NAME", subject.Name);
        Append(fields, "CONTAINER_TAG", tag);
        Append(fields, "IMAGE_NAME", subject.ImageName);
        Append(fields, "SYSLOG_IDENTIFIER", tag);
        Append(fields, "CONTAINER_LOG_EPOCH", Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));
        foreach ((string name, string value) in subject.Attributes())
        {
            if (FieldName(name) is { Length: > 0 } field)
            {
                Append(fields, field, value);
            }
        }

        _fields = fields.ToArray();
    }

    public TimeSpan RetryPause => TimeSpan.FromSeconds(1);

    public int MaxAttempts => int.MaxValue;

    /// <exception cref="FormatException">In Docker's words.</exception>
    public static void Validate(IReadOnlyDictionary<string, string> options)
    {
        if (options.Keys.FirstOrDefault() is { } key)
        {
            throw new FormatException($"unknown log opt '{key}' for journald log driver");
        }
    }

    /// <exception cref="IOException">There is no journal.</exception>
    public static JournaldDriver Create(LogSubject subject, string socket) =>
        File.Exists(socket) ? new JournaldDriver(subject, socket) : throw new IOException("journald is not enabled on this host");

    public ValueTask OpenAsync(CancellationToken cancellationToken) => _connection.OpenAsync(cancellationToken);

    public async ValueTask SendAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        PartialLine? partial = _partials.Of(entry);
        MemoryStream message = new();
        Append(message, "MESSAGE", entry.Text.Span.TrimEnd((byte)'\n'));
        Append(message, "PRIORITY", entry.Stream == LogStream.Stderr ? "3" : "6");
        message.Write(_fields);
        Append(message, "SYSLOG_TIMESTAMP", Rfc3339.Format(entry.Time));
        Append(message, "CONTAINER_LOG_ORDINAL", (_ordinal + 1).ToString(CultureInfo.InvariantCulture));
        if (partial is not null)
        {
            Append(message, "CONTAINER_PARTIAL_ID", partial.Id);
            Append(message, "CONTAINER_PARTIAL_ORDINAL", partial.Ordinal.ToString(CultureInfo.InvariantCulture));
            Append(message, "CONTAINER_PARTIAL_LAST", partial.IsLast ? "true" : "false");
            if (!partial.IsLast)
            {
                Append(message, "CONTAINER_PARTIAL_MESSAGE", "true");
            }
        }

        await _connection.SendAsync(message.GetBuffer().AsMemory(0, (int)message.Length), cancellationToken);
        _ordinal++;
        _partials.Delivered(entry, partial);
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private static void Append(MemoryStream message, string name, string value) => Append(message, name, Encoding.UTF8.GetBytes(value));

    /// <summary><c>NAME=value</c>, or with a newline in it <c>NAME</c>, its length as 64 bits little-endian, and the value.</summary>
    private static void Append(MemoryStream message, string name, ReadOnlySpan<byte> value)
    {
        message.Write(Encoding.ASCII.GetBytes(name));
        if (value.Contains((byte)'\n'))
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)value.Length);
            message.WriteByte((byte)'\n');
            message.Write(length);
        }
        else
        {
            message.WriteByte((byte)'=');
        }

        message.Write(value);
        message.WriteByte((byte)'\n');
    }

    /// <summary>A name of capitals, digits and underscores that does not begin with one (systemd.journal-fields(7)).</summary>
    private static string FieldName(string name) =>
        string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) ? char.ToUpperInvariant(letter) : '_')).TrimStart('_');
}
