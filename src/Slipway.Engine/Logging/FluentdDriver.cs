using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Text;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary><c>--log-driver fluentd</c>: Fluentd's forward protocol v1, one message a record.</summary>
internal sealed class FluentdDriver : ILogSink
{
    private const int DefaultPort = 24224;
    private const string DefaultHost = "127.0.0.1";

    private readonly LogSubject _subject;
    private readonly LogConnection _connection;
    private readonly string _tag;
    private readonly SortedDictionary<string, string> _attributes;
    private readonly bool _subSeconds;
    private readonly bool _acknowledged;
    private readonly bool _async;
    private readonly PartialLines _partials = new();

    private FluentdDriver(LogSubject subject)
    {
        _subject = subject;
        LogEndpoint endpoint = Endpoint(subject.Option("fluentd-address"));
        _tag = subject.Tag();
        _attributes = subject.Attributes();
        _subSeconds = GoText.Boolean(subject.Option("fluentd-sub-second-precision") ?? "false");
        _acknowledged = GoText.Boolean(subject.Option("fluentd-request-ack") ?? "false");
        _async = GoText.Boolean(subject.Option("fluentd-async") ?? "false");
        RetryPause = GoText.Duration(subject.Option("fluentd-retry-wait") ?? "1s");
        MaxAttempts = subject.Option("fluentd-max-retries") is { } retries && int.TryParse(retries, CultureInfo.InvariantCulture, out int count) && count < int.MaxValue ? count + 1 : int.MaxValue;
        _connection = new LogConnection(endpoint, () => new SslClientAuthenticationOptions { TargetHost = endpoint.Split().Host })
        {
            SendTimeout = subject.Option("fluentd-write-timeout") is { } timeout ? GoText.Duration(timeout) : null,
        };
    }

    public TimeSpan RetryPause { get; }

    public int MaxAttempts { get; }

    /// <exception cref="FormatException">In Docker's words.</exception>
    public static void Validate(IReadOnlyDictionary<string, string> options)
    {
        foreach ((string key, string value) in options)
        {
            switch (key)
            {
                case "fluentd-address":
                    try
                    {
                        _ = Endpoint(value);
                    }
                    catch (FormatException exception)
                    {
                        throw new FormatException($"invalid fluentd-address ({value}): {exception.Message}", exception);
                    }

                    break;
                case "fluentd-async" or "fluentd-request-ack" or "fluentd-sub-second-precision" when value.Length > 0:
                    _ = GoText.Boolean(value);
                    break;
                case "fluentd-async-reconnect-interval" when value.Length > 0:
                    TimeSpan interval = GoText.Duration(value);
                    if (interval != TimeSpan.Zero && (interval < TimeSpan.FromMilliseconds(100) || interval > TimeSpan.FromSeconds(10)))
                    {
                        throw new FormatException($"invalid value for {key}: value (\"{value}\") must be between 100ms and 10s");
                    }

                    break;
                case "fluentd-buffer-limit" when value.Length > 0:
                    _ = GoText.Size(value);
                    break;
                case "fluentd-max-retries" when value.Length > 0:
                    if (!uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out uint retries))
                    {
                        throw new FormatException($"strconv.ParseUint: parsing \"{value}\": invalid syntax");
                    }

                    if (retries > int.MaxValue)
                    {
                        throw new FormatException("invalid fluentd-max-retries: value out of range");
                    }

                    break;
                case "fluentd-retry-wait" when value.Length > 0:
                    _ = GoText.Duration(value);
                    break;
                case "fluentd-write-timeout" or "fluentd-read-timeout" when value.Length > 0:
                    if (!GoText.TryDuration(value, out TimeSpan timeout))
                    {
                        throw new FormatException($"invalid value for {key}: value must be a duration: time: invalid duration \"{value}\"");
                    }

                    if (timeout < TimeSpan.Zero)
                    {
                        throw new FormatException($"invalid value for {key}: value must be a duration that is non-negative");
                    }

                    break;
                case "fluentd-async" or "fluentd-request-ack" or "fluentd-sub-second-precision" or "fluentd-async-reconnect-interval" or "fluentd-buffer-limit"
                    or "fluentd-max-retries" or "fluentd-retry-wait" or "fluentd-write-timeout" or "fluentd-read-timeout":
                    break;
                default:
                    throw new FormatException($"unknown log opt '{key}' for fluentd log driver");
            }
        }
    }

    public static FluentdDriver Create(LogSubject subject) => new(subject);

    public ValueTask OpenAsync(CancellationToken cancellationToken) => _async ? ValueTask.CompletedTask : _connection.OpenAsync(cancellationToken);

    public async ValueTask SendAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        PartialLine? partial = _partials.Of(entry);
        string chunk = _acknowledged ? Convert.ToBase64String(RandomNumberGenerator.GetBytes(16)) : "";
        await _connection.SendAsync(Message(entry, partial, chunk), cancellationToken);
        if (_acknowledged)
        {
            await AwaitAcknowledgementAsync(chunk, cancellationToken);
        }

        _partials.Delivered(entry, partial);
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private ReadOnlyMemory<byte> Message(LogEntry entry, PartialLine? partial, string chunk)
    {
        SortedDictionary<string, string> further = new(_attributes, StringComparer.Ordinal);
        if (partial is not null)
        {
            further["partial_message"] = "true";
            further["partial_id"] = partial.Id;
            further["partial_ordinal"] = partial.Ordinal.ToString(CultureInfo.InvariantCulture);
            further["partial_last"] = partial.IsLast ? "true" : "false";
        }

        MessagePack message = new();
        message.Array(chunk.Length > 0 ? 4 : 3);
        message.Text(_tag);
        if (_subSeconds)
        {
            message.EventTime(entry.Time);
        }
        else
        {
            message.Unsigned((uint)entry.Time.ToUnixTimeSeconds());
        }

        message.Map(4 + further.Count);
        message.Text("container_id");
        message.Text(_subject.Id);
        message.Text("container_name");
        message.Text("/" + _subject.Name);
        message.Text("source");
        message.Text(entry.Stream == LogStream.Stderr ? "stderr" : "stdout");
        message.Text("log");
        message.Text(entry.Text.Span.TrimEnd((byte)'\n'));
        foreach ((string name, string value) in further)
        {
            message.Text(name);
            message.Text(value);
        }

        if (chunk.Length > 0)
        {
            message.Map(1);
            message.Text("chunk");
            message.Text(chunk);
        }

        return message.Written;
    }

    /// <summary>The receiver answers <c>{"ack": chunk}</c>; the chunk is random, so finding it is enough.</summary>
    private async Task AwaitAcknowledgementAsync(string chunk, CancellationToken cancellationToken)
    {
        byte[] wanted = Encoding.ASCII.GetBytes(chunk);
        byte[] answer = new byte[256];
        int length = 0;
        while (answer.AsSpan(0, length).IndexOf(wanted) < 0)
        {
            length = length < answer.Length ? length : throw new IOException("fluentd: the receiver acknowledges another message");
            length += await _connection.ReceiveAsync(answer.AsMemory(length), cancellationToken);
        }
    }

    private static LogEndpoint Endpoint(string? address)
    {
        if (string.IsNullOrEmpty(address))
        {
            return new LogEndpoint("tcp", $"{DefaultHost}:{DefaultPort}");
        }

        (string scheme, string rest) = LogEndpoint.Scheme(address) ?? ("tcp", address);
        switch (scheme)
        {
            case "unix":
                return rest.Trim('/').Length > 0 ? new LogEndpoint(scheme, rest) : throw new FormatException("path is empty");
            case "tcp" or "tls":
                if (rest.Contains('/', StringComparison.Ordinal))
                {
                    throw new FormatException("should not contain a path element");
                }

                string host = LogEndpoint.HostAndPort(rest, DefaultPort);
                return new LogEndpoint(scheme, host.StartsWith(':') ? DefaultHost + host : host);
            default:
                throw new FormatException($"unsupported scheme: '{scheme}'");
        }
    }
}
