using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Requirements;

/// <summary>A container that another needs before it may start: <c>NAME</c>, or <c>NAME:healthy</c>.</summary>
/// <param name="Name">A name rather than an id: the requirement holds for whatever container has the name when it matters.</param>
/// <param name="Healthy">Running is not enough; its health check has to have passed.</param>
internal readonly record struct Requirement(string Name, bool Healthy)
{
    /// <summary>The label by which clients that do not know the option ask for requirements, separated by commas.</summary>
    public const string Label = "slipway.requires";

    private const string HealthySuffix = "healthy";

    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static Requirement Parse(string text)
    {
        string[] parts = text.Split(':');
        return parts is [{ Length: > 0 } name] ? new Requirement(name, Healthy: false)
            : parts is [{ Length: > 0 } checkedName, HealthySuffix] ? new Requirement(checkedName, Healthy: true)
            : throw ContainerErrors.Invalid($"invalid requirement \"{text}\": it must be NAME or NAME:{HealthySuffix}");
    }

    public static IEnumerable<Requirement> Of(HostConfig hostConfig) => (hostConfig.Requires ?? []).Select(Parse);

    /// <summary>What the request asks for, by option and by label; labels of the image have no say. Null for nothing.</summary>
    public static List<string>? Requested(ContainerCreateRequest request)
    {
        string? label = request.Labels?.GetValueOrDefault(Label);
        IEnumerable<string> labelled = label?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];
        List<string> all = [.. (request.HostConfig?.Requires ?? []).Concat(labelled).Distinct(StringComparer.Ordinal)];
        return all.Count == 0 ? null : all;
    }
}
