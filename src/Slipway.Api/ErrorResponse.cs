using System.Text.Json.Serialization;

namespace Slipway.Api;

/// <summary>The body of every error.</summary>
public sealed record ErrorResponse([property: JsonPropertyName("message")] string Message);

/// <summary>The body of <c>{"Id": …}</c> answers.</summary>
public sealed record IdResponse(string Id);
