namespace Slipway.Engine.Containers.Foreign;

/// <summary>A runtime of the host could not start a process.</summary>
/// <param name="message">In the runtime's words.</param>
internal sealed class ForeignRuntimeException(string message) : Exception(message);
