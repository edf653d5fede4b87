namespace Slipway.Engine;

/// <summary>What the engine tells its operator; errors of requests go to their clients instead.</summary>
public interface IEngineLog
{
    void Write(EngineLogLevel level, string message, Exception? exception = null);
}

public enum EngineLogLevel
{
    Debug,
    Information,
    Warning,
    Error,
}
