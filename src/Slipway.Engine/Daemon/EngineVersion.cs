namespace Slipway.Engine.Daemon;

/// <summary>The version of this engine.</summary>
public static class EngineVersion
{
    /// <summary><c>0.1.0</c>.</summary>
    public static string Current { get; } = typeof(EngineVersion).Assembly.GetName().Version!.ToString(3);
}
