namespace Slipway.Runtime.Hooks;

/// <summary>A hook failed, could not be executed, or did not end in time: the container is not started.</summary>
public sealed class HookException(string message) : Exception(message);
