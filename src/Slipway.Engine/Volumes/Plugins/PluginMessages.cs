using System.Text.Json.Serialization;

namespace Slipway.Engine.Volumes.Plugins;

/// <summary>What is sent to a plugin; what a call has no use for is left out.</summary>
internal sealed record PluginCall
{
    public string? Name { get; init; }

    /// <summary>Who mounts: the same in the mount and in the unmount.</summary>
    public string? ID { get; init; }

    public IReadOnlyDictionary<string, string>? Opts { get; init; }
}

/// <summary>What a plugin answers: to each call a part of this.</summary>
internal sealed record PluginAnswer
{
    /// <summary>Empty where the call has succeeded.</summary>
    public string? Err { get; init; }

    /// <summary>Of Plugin.Activate: what the plugin is.</summary>
    public IReadOnlyList<string>? Implements { get; init; }

    public string? Mountpoint { get; init; }

    public PluginVolume? Volume { get; init; }

    public PluginCapabilities? Capabilities { get; init; }
}

internal sealed record PluginVolume(string? Name, string? Mountpoint);

/// <param name="Scope">local or global.</param>
internal sealed record PluginCapabilities(string? Scope);

[JsonSourceGenerationOptions(PropertyNameCaseInsensitive = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PluginCall))]
[JsonSerializable(typeof(PluginAnswer))]
internal sealed partial class PluginJson : JsonSerializerContext;
