using System.Reflection;

namespace Slipway.Engine.Daemon;

/// <summary>Which engine this is.</summary>
public static class EngineVersion
{
    /// <summary><c>0.1.0</c>.</summary>
    public static string Current { get; } = typeof(EngineVersion).Assembly.GetName().Version!.ToString(3);

    /// <summary>The commit it was built from, as the SDK appends it to the version; empty where it was built outside of a repository.</summary>
    public static string Commit { get; } =
        typeof(EngineVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+') is [_, var commit]
            ? commit[..Math.Min(12, commit.Length)] : "";

    /// <summary>Empty: builds are deterministic, so they do not know when they were made.</summary>
    public static string BuildTime => "";
}
