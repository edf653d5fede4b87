using System.Text.Json.Serialization;

namespace Slipway.Api.Events;

/// <summary>A line of GET /events.</summary>
public sealed record EventMessage
{
    /// <summary>Old form (before 1.22): the action. Containers and images only.</summary>
    [JsonPropertyName("status")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Status { get; set; }

    /// <summary>Old form: the object's id.</summary>
    [JsonPropertyName("id")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; set; }

    /// <summary>Old form: the image's name.</summary>
    [JsonPropertyName("from")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? From { get; set; }

    /// <summary>container, image, network, volume, daemon.</summary>
    public required string Type { get; set; }

    public required string Action { get; set; }

    public required EventActor Actor { get; set; }

    [JsonPropertyName("scope")]
    public string Scope { get; set; } = "local";

    /// <summary>Seconds since 1970.</summary>
    [JsonPropertyName("time")]
    public long Time { get; set; }

    [JsonPropertyName("timeNano")]
    public long TimeNano { get; set; }
}

public sealed record EventActor
{
    public required string ID { get; set; }

    public Dictionary<string, string> Attributes { get; set; } = [];
}
