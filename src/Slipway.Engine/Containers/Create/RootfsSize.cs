using Slipway.Api.Containers;
using Slipway.Engine.Logging;
using Slipway.Storage.Volumes;

namespace Slipway.Engine.Containers.Create;

/// <summary>The option <c>size</c> of <c>--storage-opt</c>: how many bytes a container may write. There is no other.</summary>
internal static class RootfsSize
{
    private const string Key = "size";

    /// <summary>Null where the container does not say.</summary>
    /// <exception cref="EngineException">An option of another name, or no size.</exception>
    public static long? Of(HostConfig host)
    {
        long? size = null;
        foreach ((string key, string value) in host.StorageOpt ?? [])
        {
            size = key.Equals(Key, StringComparison.OrdinalIgnoreCase) ? Parse(value) : throw new EngineException(ErrorKind.System, $"Unknown option {key}");
        }

        return size;
    }

    private static long Parse(string text)
    {
        long size;
        try
        {
            size = GoText.Size(text);
        }
        catch (Exception error) when (error is FormatException or OverflowException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"invalid size: '{text}'", error);
        }

        return size >= IVolumeStore.MinimumSize ? size : throw ContainerErrors.Invalid($"invalid size: '{text}': a container's layer has at least {IVolumeStore.MinimumSize >> 20} MiB");
    }
}
