namespace Slipway.Runtime.Confinement;

/// <summary>A limit, capability or profile that is not valid, with Docker's text for it. The engine answers 400.</summary>
public sealed class ConfinementException(string message, Exception? inner = null) : Exception(message, inner);
