using System.Net;

namespace Slipway.Client;

/// <summary>The engine answered with an error.</summary>
public sealed class EngineApiException(HttpStatusCode status, string message) : Exception(message)
{
    public HttpStatusCode Status { get; } = status;
}

/// <summary>No engine could be reached.</summary>
public sealed class EngineUnreachableException(EngineAddress address, Exception innerException)
    : Exception($"Cannot connect to the Slipway engine at {address.Text}. Is the engine running?", innerException)
{
    public EngineAddress Address { get; } = address;
}
