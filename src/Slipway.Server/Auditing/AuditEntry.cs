using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Slipway.Api.Containers;
using Slipway.Api.Secrets;
using Slipway.Api.Volumes;
using Slipway.Server.Authorization;
using Slipway.Server.Http;
using Slipway.Server.Transport;

namespace Slipway.Server.Auditing;

/// <summary>
/// A line of the audit log: who asked for what, and what was decided. Of a request's body and query only what is named here is kept: environments,
/// commands, build arguments, credentials and secrets never are.
/// </summary>
internal sealed record AuditEntry
{
    public const string Allow = "allow";
    public const string Deny = "deny";

    /// <summary>Names are as long as a client likes.</summary>
    private const int MaxText = 256;

    /// <summary>RFC 3339, UTC.</summary>
    [JsonPropertyName("time")]
    public string Time { get; init; } = "";

    /// <summary>The address the client connected to.</summary>
    [JsonPropertyName("listener")]
    public required string Listener { get; init; }

    /// <summary>Of the process that connected to a unix socket, as the kernel saw it then.</summary>
    [JsonPropertyName("pid")]
    public int? Pid { get; init; }

    [JsonPropertyName("uid")]
    public uint? Uid { get; init; }

    [JsonPropertyName("gid")]
    public uint? Gid { get; init; }

    /// <summary>The address a client by TCP came from.</summary>
    [JsonPropertyName("address")]
    public string? Address { get; init; }

    /// <summary>The subject of the certificate a client showed.</summary>
    [JsonPropertyName("certificate")]
    public string? Certificate { get; init; }

    [JsonPropertyName("verb")]
    public required string Verb { get; init; }

    /// <summary>The object the path names.</summary>
    [JsonPropertyName("object")]
    public string? Object { get; init; }

    /// <summary>The name that was asked for, of something that is created.</summary>
    [JsonPropertyName("name")]
    public string? Name { get; init; }

    [JsonPropertyName("image")]
    public string? Image { get; init; }

    /// <summary>Options that give power over the host.</summary>
    [JsonPropertyName("options")]
    public IReadOnlyList<string>? Options { get; init; }

    [JsonPropertyName("decision")]
    public string Decision { get; init; } = Allow;

    /// <summary>Why it was denied.</summary>
    [JsonPropertyName("reason")]
    public string? Reason { get; init; }

    public static AuditEntry Of(ClientOrigin origin, Route route, string parameter, HttpRequest request, object? body)
    {
        QueryParameters query = new(request.QueryString);
        string[] options = body is null ? [] : [.. PrivilegedOptions.Of(body)];
        return new AuditEntry
        {
            Listener = origin.Listener,
            Pid = origin.Process?.Pid,
            Uid = origin.Process?.Uid,
            Gid = origin.Process?.Gid,
            Address = origin.Address,
            Certificate = request.HttpContext.Features.Get<ClientCertificate>()?.Certificate.Subject,
            Verb = route.Verb,
            Object = Bounded(parameter.Length > 0 ? parameter : route.Verb == "containers.commit" ? query["container"] : ""),
            Name = Bounded((body as VolumeCreateRequest)?.Name ?? (body as SecretSpec)?.Name ?? query["name"]),
            Image = Bounded((body as ContainerCreateRequest)?.Image ?? query["fromImage"]),
            Options = options.Length > 0 ? options : null,
        };
    }

    public AuditEntry At(DateTimeOffset time) => this with { Time = time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture) };

    private static string? Bounded(string? text) => string.IsNullOrEmpty(text) ? null : text.Length <= MaxText ? text : text[..MaxText] + "…";
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AuditEntry))]
internal sealed partial class AuditJson : JsonSerializerContext;
