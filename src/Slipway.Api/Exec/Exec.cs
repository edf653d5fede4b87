using System.Text.Json.Serialization;

namespace Slipway.Api.Exec;

/// <summary>POST /containers/{id}/exec.</summary>
public sealed record ExecCreateRequest
{
    public string User { get; set; } = "";

    public bool Privileged { get; set; }

    public bool Tty { get; set; }

    /// <summary>Height, width.</summary>
    public List<uint>? ConsoleSize { get; set; }

    public bool AttachStdin { get; set; }

    public bool AttachStderr { get; set; }

    public bool AttachStdout { get; set; }

    public bool Detach { get; set; }

    public string DetachKeys { get; set; } = "";

    public List<string>? Env { get; set; }

    public string WorkingDir { get; set; } = "";

    public List<string>? Cmd { get; set; }
}

/// <summary>POST /exec/{id}/start.</summary>
public sealed record ExecStartRequest
{
    public bool Detach { get; set; }

    public bool Tty { get; set; }

    /// <summary>Height, width.</summary>
    public List<uint>? ConsoleSize { get; set; }
}

/// <summary>GET /exec/{id}/json.</summary>
public sealed record ExecInspect
{
    public required string ID { get; set; }

    public bool Running { get; set; }

    public int? ExitCode { get; set; }

    public required ExecProcessConfig ProcessConfig { get; set; }

    public bool OpenStdin { get; set; }

    public bool OpenStderr { get; set; }

    public bool OpenStdout { get; set; }

    public bool CanRemove { get; set; }

    public required string ContainerID { get; set; }

    public string DetachKeys { get; set; } = "";

    public int Pid { get; set; }
}

public sealed record ExecProcessConfig
{
    [JsonPropertyName("tty")]
    public bool Tty { get; set; }

    [JsonPropertyName("entrypoint")]
    public string Entrypoint { get; set; } = "";

    [JsonPropertyName("arguments")]
    public List<string> Arguments { get; set; } = [];

    [JsonPropertyName("privileged")]
    public bool Privileged { get; set; }

    [JsonPropertyName("user")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? User { get; set; }
}
