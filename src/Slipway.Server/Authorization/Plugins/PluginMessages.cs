using System.Text.Json.Serialization;

namespace Slipway.Server.Authorization.Plugins;

/// <summary>What a plugin is asked (docs.docker.com, "Access authorization plugin"); bodies and certificates go in base64.</summary>
internal sealed record PluginQuestion
{
    /// <summary>The common name of the client's certificate, by TLS.</summary>
    public string? User { get; init; }

    public string? UserAuthNMethod { get; init; }

    public required string RequestMethod { get; init; }

    public required string RequestUri { get; init; }

    public byte[]? RequestBody { get; init; }

    public required IReadOnlyDictionary<string, string> RequestHeaders { get; init; }

    /// <summary>PEM.</summary>
    public IReadOnlyList<byte[]>? RequestPeerCertificates { get; init; }

    public int? ResponseStatusCode { get; init; }

    public byte[]? ResponseBody { get; init; }

    public IReadOnlyDictionary<string, string>? ResponseHeaders { get; init; }
}

/// <param name="Err">That the plugin could not decide.</param>
internal sealed record PluginVerdict(bool Allow, string? Msg, string? Err);

internal sealed record PluginGreeting(IReadOnlyList<string>? Implements);

[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PluginQuestion))]
[JsonSerializable(typeof(PluginVerdict))]
[JsonSerializable(typeof(PluginGreeting))]
internal sealed partial class PluginAuthorizationJson : JsonSerializerContext;
