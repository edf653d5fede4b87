namespace Slipway.Engine.Containers;

/// <summary>Where a container's output is logged.</summary>
internal static class ContainerLog
{
    public static string Path(string directory, string id) => $"{directory}/{id}-json.log";
}
