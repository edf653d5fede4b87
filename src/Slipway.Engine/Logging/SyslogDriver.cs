using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary><c>--log-driver syslog</c>: RFC 3164 or RFC 5424 messages over udp, tcp, TLS (RFC 5425) or a unix socket.</summary>
internal sealed class SyslogDriver : ILogSink
{
    private const int DefaultPort = 514;
    private const int Error = 3;
    private const int Informational = 6;

    // Where the host's own syslog listens (what the C library and its predecessors use).
    private static readonly string[] s_local = ["/dev/log", "/var/run/syslog", "/var/run/log"];

    private static readonly string[] s_facilities =
    [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];

    private readonly LogConnection _connection;
    private readonly string _format;
    private readonly bool _countsOctets;
    private readonly int _facility;
    private readonly string _tag;

    private SyslogDriver(LogSubject subject, LogEndpoint endpoint)
    {
        _tag = subject.Tag();
        _facility = Facility(subject.Option("syslog-facility"));
        _format = subject.Option("syslog-format") ?? "";
        _countsOctets = endpoint.IsTls && _format.StartsWith("rfc5424", StringComparison.Ordinal);
        _connection = new LogConnection(endpoint, () => Tls(subject, endpoint.Split().Host));
    }

    public TimeSpan RetryPause => TimeSpan.FromSeconds(1);

    public int MaxAttempts => int.MaxValue;

    /// <exception cref="FormatException">In Docker's words.</exception>
    public static void Validate(IReadOnlyDictionary<string, string> options)
    {
        foreach (string key in options.Keys)
        {
            if (key is not ("syslog-address" or "syslog-facility" or "syslog-format" or "syslog-tls-ca-cert" or "syslog-tls-cert" or "syslog-tls-key" or "syslog-tls-skip-verify"))
            {
                throw new FormatException($"unknown log opt '{key}' for syslog log driver");
            }
        }

        _ = Endpoint(options.GetValueOrDefault("syslog-address") ?? "");
        _ = Facility(options.GetValueOrDefault("syslog-facility"));
        if (options.GetValueOrDefault("syslog-format") is not (null or "" or "rfc3164" or "rfc5424" or "rfc5424micro"))
        {
            throw new FormatException("Invalid syslog format");
        }
    }

    public static SyslogDriver Create(LogSubject subject) => new(subject, Endpoint(subject.Option("syslog-address") ?? "") ?? Local());

    public ValueTask OpenAsync(CancellationToken cancellationToken) => _connection.OpenAsync(cancellationToken);

    public async ValueTask SendAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> text = entry.Text.TrimEnd((byte)'\n');
        if (!text.IsEmpty)
        {
            byte[] message = [.. Encoding.UTF8.GetBytes(Header(entry)), .. text.Span, (byte)'\n'];
            await _connection.SendAsync(_countsOctets ? [.. Encoding.ASCII.GetBytes($"{message.Length} "), .. message] : message, cancellationToken);
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private string Header(LogEntry entry)
    {
        int priority = (_facility << 3) | (entry.Stream == LogStream.Stderr ? Error : Informational);
        DateTimeOffset time = entry.Time.ToLocalTime();
        string host = System.Environment.MachineName;
        int pid = System.Environment.ProcessId;
        return _format switch
        {
            "rfc5424" => string.Create(CultureInfo.InvariantCulture, $"<{priority}>1 {time:yyyy-MM-ddTHH:mm:ss}{Zone(time)} {host} {_tag} {pid} {_tag} - "),
            "rfc5424micro" => string.Create(CultureInfo.InvariantCulture, $"<{priority}>1 {time:yyyy-MM-ddTHH:mm:ss.ffffff}{Zone(time)} {host} {_tag} {pid} {_tag} - "),
            "rfc3164" => string.Create(CultureInfo.InvariantCulture, $"<{priority}>{time:MMM} {time.Day,2} {time:HH:mm:ss} {host} {_tag}[{pid}]: "),
            _ => string.Create(CultureInfo.InvariantCulture, $"<{priority}>{time:MMM} {time.Day,2} {time:HH:mm:ss} {_tag}[{pid}]: "),
        };
    }

    private static string Zone(DateTimeOffset time) => time.Offset == TimeSpan.Zero ? "Z" : time.ToString("zzz", CultureInfo.InvariantCulture);

    private static int Facility(string? text) =>
        string.IsNullOrEmpty(text) ? Array.IndexOf(s_facilities, "daemon")
        : Array.IndexOf(s_facilities, text) is >= 0 and int known ? known
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= 23 ? number
        : throw new FormatException("invalid syslog facility");

    /// <summary>Null: the host's own syslog.</summary>
    private static LogEndpoint? Endpoint(string address)
    {
        if (address.Length == 0)
        {
            return null;
        }

        (string scheme, string rest) = LogEndpoint.Scheme(address) ?? ("", address);
        return scheme switch
        {
            "unix" or "unixgram" => System.IO.Path.Exists(rest) ? new LogEndpoint(scheme, rest) : throw new FormatException($"stat {rest}: no such file or directory"),
            "udp" or "tcp" or "tcp+tls" => new LogEndpoint(scheme, LogEndpoint.HostAndPort(rest, DefaultPort)),
            _ => throw new FormatException($"unsupported scheme: '{scheme}'"),
        };
    }

    private static LogEndpoint Local() => Array.Find(s_local, System.IO.Path.Exists) is { } path
        ? new LogEndpoint("unixgram", path)
        : throw new IOException("Unix syslog delivery error");

    private static SslClientAuthenticationOptions Tls(LogSubject subject, string host)
    {
        SslClientAuthenticationOptions options = new() { TargetHost = host };
        if (subject.Options.ContainsKey("syslog-tls-skip-verify"))
        {
#pragma warning disable CA5359 // Asked for by name; Docker's option.
            options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }
        else if (subject.Option("syslog-tls-ca-cert") is { } authority)
        {
            X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            Read(authority, () => policy.CustomTrustStore.ImportFromPemFile(authority));
            if (policy.CustomTrustStore.Count == 0)
            {
                throw new IOException($"failed to append certificates from PEM file: \"{authority}\"");
            }

            options.CertificateChainPolicy = policy;
        }

        if (subject.Option("syslog-tls-cert") is { } certificate)
        {
            Read(certificate, () => options.ClientCertificates = [X509Certificate2.CreateFromPemFile(certificate, subject.Option("syslog-tls-key"))]);
        }

        return options;
    }

    private static void Read(string file, Action read)
    {
        try
        {
            read();
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new IOException($"could not read certificate \"{file}\": {exception.Message}", exception);
        }
    }
}
