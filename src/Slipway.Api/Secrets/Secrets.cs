using System.Text.Json.Serialization;

namespace Slipway.Api.Secrets;

/// <summary>GET /secrets/{id}: what is known of a secret; never its value.</summary>
public sealed record Secret
{
    public required string ID { get; set; }

    public required ObjectVersion Version { get; set; }

    public required string CreatedAt { get; set; }

    public required string UpdatedAt { get; set; }

    public required SecretSpec Spec { get; set; }
}

/// <summary>Answer to POST /secrets/create.</summary>
public sealed record SecretCreateResponse(string ID);

/// <param name="Index">Grows with each change.</param>
public sealed record ObjectVersion(ulong Index);

/// <summary>POST /secrets/create and /secrets/{id}/update.</summary>
public sealed record SecretSpec
{
    public string Name { get; set; } = "";

    public Dictionary<string, string>? Labels { get; set; }

    /// <summary>The value in base64 (RFC 4648), standard or URL-safe; in requests only.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Data { get; set; }

    /// <summary>Of a swarm: a program that has the value.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SecretDriver? Driver { get; set; }

    /// <summary>Of a swarm: the value is a template.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SecretDriver? Templating { get; set; }
}

public sealed record SecretDriver(string? Name);

/// <summary>Slipway's own, in a host configuration: a secret as a file of the container.</summary>
public sealed record SecretReference
{
    /// <summary>Name or id.</summary>
    public string Source { get; set; } = "";

    /// <summary>The file: absolute, or below /run/secrets. Empty: the secret's name.</summary>
    public string Target { get; set; } = "";

    public uint UID { get; set; }

    public uint GID { get; set; }

    /// <summary>Permission bits; 0444 when it is not given.</summary>
    public uint Mode { get; set; } = 0x124;

    /// <summary>Set by the engine: the secret that is meant, whatever has the name later.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? SecretID { get; set; }
}
