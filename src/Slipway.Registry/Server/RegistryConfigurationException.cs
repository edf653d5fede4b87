namespace Slipway.Registry.Server;

/// <summary>A registry that cannot be started as it is configured; the message is for the administrator.</summary>
public sealed class RegistryConfigurationException(string message, Exception? inner = null) : Exception(message, inner);
