namespace Slipway.Engine.Volumes.Plugins;

/// <summary>A driver that is another program: the calls <c>VolumeDriver.*</c> of Docker's plugin protocol.</summary>
internal sealed class PluginDriver : IVolumeDriver, IDisposable
{
    private readonly PluginSocket _socket;

    private PluginDriver(PluginSocket socket, string scope) => (_socket, Scope) = (socket, scope);

    public string Scope { get; }

    /// <summary>Greets the plugin.</summary>
    /// <returns>Null where it is no driver of volumes.</returns>
    public static async Task<PluginDriver?> ActivateAsync(string path, CancellationToken cancellationToken)
    {
        PluginSocket socket = new(path);
        try
        {
            PluginAnswer greeting = await socket.CallAsync("Plugin.Activate", new PluginCall(), cancellationToken);
            if (greeting.Implements?.Contains("VolumeDriver") != true)
            {
                socket.Dispose();
                return null;
            }

            return new PluginDriver(socket, await ScopeAsync(socket, cancellationToken));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async Task<string> CreateAsync(string name, VolumeDocument document, CancellationToken cancellationToken)
    {
        await _socket.CallAsync("VolumeDriver.Create", new PluginCall { Name = name, Opts = document.Options ?? new Dictionary<string, string>() }, cancellationToken);
        PluginAnswer made = await _socket.CallAsync("VolumeDriver.Get", new PluginCall { Name = name }, cancellationToken);
        return made.Volume?.Mountpoint ?? "";
    }

    public Task RemoveAsync(string name, CancellationToken cancellationToken) => _socket.CallAsync("VolumeDriver.Remove", new PluginCall { Name = name }, cancellationToken);

    public async Task<string> MountAsync(string name, VolumeDocument document, string user, CancellationToken cancellationToken)
    {
        PluginAnswer answer;
        try
        {
            answer = await _socket.CallAsync("VolumeDriver.Mount", new PluginCall { Name = name, ID = user }, cancellationToken);
        }
        catch (EngineException exception)
        {
            throw new EngineException(exception.Kind, $"error while mounting volume '{name}': {exception.Message}", exception);
        }

        return answer.Mountpoint is { } path && path.StartsWith('/') && !path.Contains('\0', StringComparison.Ordinal)
            ? path
            : throw new EngineException(ErrorKind.System, $"error while mounting volume '{name}': VolumeDriver.Mount: the plugin gave no absolute path: \"{answer.Mountpoint}\"");
    }

    /// <summary>The plugin counts for itself who has the volume mounted.</summary>
    public Task UnmountAsync(string name, VolumeDocument document, string user, bool isLast) =>
        _socket.CallAsync("VolumeDriver.Unmount", new PluginCall { Name = name, ID = user }, CancellationToken.None);

    public bool OwnsFiles(VolumeDocument document) => false;

    public bool OwnsDirectory(string name, VolumeDocument document) => false;

    public void Dispose() => _socket.Dispose();

    /// <summary>A call that was added later: a plugin that does not know it is local.</summary>
    private static async Task<string> ScopeAsync(PluginSocket socket, CancellationToken cancellationToken)
    {
        try
        {
            PluginAnswer answer = await socket.CallAsync("VolumeDriver.Capabilities", new PluginCall(), cancellationToken);
            return answer.Capabilities?.Scope is "global" ? "global" : LocalDriver.LocalScope;
        }
        catch (EngineException)
        {
            return LocalDriver.LocalScope;
        }
    }
}
