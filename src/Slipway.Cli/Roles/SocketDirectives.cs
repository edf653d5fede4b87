using System.Globalization;
using System.Text.Json.Serialization;
using Slipway.Cli.Options;
using Slipway.Server.Auditing;
using Slipway.Server.Authorization;

namespace Slipway.Cli.Roles;

/// <summary>A further socket of the API (an element of <c>sockets</c>).</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record SocketDirectives
{
    [JsonPropertyName("path")]
    public required string Path { get; init; }

    [JsonPropertyName("group")]
    public string? Group { get; init; }

    /// <summary>Octal, as for chmod(1).</summary>
    [JsonPropertyName("mode")]
    public string? Mode { get; init; }

    [JsonPropertyName("policy")]
    public PolicyDirectives? Policy { get; init; }

    /// <exception cref="CommandException">A value that cannot be meant.</exception>
    public ApiSocket ToSocket() => new(Path, Group, Mode is null ? null : ParseMode(), Policy?.ToPolicy());

    private UnixFileMode ParseMode()
    {
        try
        {
            int mode = Convert.ToInt32(Mode, 8);
            return mode is >= 0 and <= 0x1ff ? (UnixFileMode)mode : throw new FormatException();
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException or OverflowException)
        {
            throw new CommandException($"sockets: {Path}: invalid mode \"{Mode}\": it must be octal, such as \"0660\"", 1);
        }
    }
}

/// <summary>What may be done over a socket (<c>policy</c>); what is not said is as in <see cref="SocketPolicy"/>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record PolicyDirectives
{
    [JsonPropertyName("verbs")]
    public List<string>? Verbs { get; init; }

    [JsonPropertyName("labels")]
    public Dictionary<string, string>? Labels { get; init; }

    [JsonPropertyName("privileged")]
    public List<string>? Privileged { get; init; }

    public SocketPolicy ToPolicy()
    {
        SocketPolicy policy = new();
        return new SocketPolicy { Verbs = Verbs ?? policy.Verbs, Labels = Labels ?? policy.Labels, Privileged = Privileged ?? policy.Privileged };
    }
}

/// <summary>The audit log (<c>audit-log</c>).</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record AuditDirectives
{
    private const string DefaultPath = "/var/log/slipway/audit.log";

    [JsonPropertyName("path")]
    public string? Path { get; init; }

    /// <summary>A size with a unit.</summary>
    [JsonPropertyName("max-size")]
    public string? MaxSize { get; init; }

    [JsonPropertyName("max-file")]
    public int? MaxFiles { get; init; }

    [JsonPropertyName("reads")]
    public bool Reads { get; init; }

    /// <exception cref="CommandException">A value that cannot be meant.</exception>
    public AuditOptions ToOptions()
    {
        long size = MaxSize is null ? AuditOptions.DefaultMaxSize : Quantities.Bytes(MaxSize);
        int files = MaxFiles ?? AuditOptions.DefaultMaxFiles;
        return size < 1 || files < 1 ? throw new CommandException(string.Create(CultureInfo.InvariantCulture, $"audit-log: max-size and max-file must be greater than 0, not {MaxSize} and {files}"), 1)
            : Path is not null && !Path.StartsWith('/') ? throw new CommandException($"audit-log: {Path}: the path must be absolute", 1)
            : new AuditOptions(Path ?? DefaultPath, size, files, Reads);
    }
}
