using System.Collections.Concurrent;
using Slipway.Engine.Volumes.Plugins;
using Slipway.Kernel.Files;
using Slipway.Storage.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>The drivers of volumes, by name: <c>local</c>, and programs of the host whose sockets lie where Docker's plugins have theirs.</summary>
/// <param name="plugins">The directory of the sockets: <c>NAME.sock</c>, or <c>NAME/NAME.sock</c>.</param>
internal sealed class VolumeDrivers(IVolumeStore store, string plugins) : IDisposable
{
    private readonly LocalDriver _local = new(store);
    private readonly SemaphoreSlim _activating = new(1);
    private readonly ConcurrentDictionary<string, PluginDriver> _activated = new(StringComparer.Ordinal);

    /// <summary>Null where there is none of the name.</summary>
    /// <exception cref="EngineException">System: there is a plugin, and it does not answer.</exception>
    public async ValueTask<IVolumeDriver?> FindAsync(string name, CancellationToken cancellationToken)
    {
        if (name == LocalDriver.Name)
        {
            return _local;
        }

        if (Locate(name) is not { } path)
        {
            return null;
        }

        if (_activated.TryGetValue(name, out PluginDriver? driver))
        {
            return driver;
        }

        await _activating.WaitAsync(cancellationToken);
        try
        {
            if (!_activated.TryGetValue(name, out driver) && (driver = await PluginDriver.ActivateAsync(path, cancellationToken)) is not null)
            {
                _activated[name] = driver;
            }

            return driver;
        }
        finally
        {
            _activating.Release();
        }
    }

    /// <summary>What is known of the scope of a driver's volumes without asking it.</summary>
    public string ScopeOf(string name) => _activated.GetValueOrDefault(name)?.Scope ?? LocalDriver.LocalScope;

    public void Dispose()
    {
        foreach (PluginDriver driver in _activated.Values)
        {
            driver.Dispose();
        }

        _activating.Dispose();
    }

    /// <summary>A client chose the name: it must be one, and no path.</summary>
    private string? Locate(string name)
    {
        if (!((PathName)name).IsEntryName || name.Contains('\0', StringComparison.Ordinal))
        {
            return null;
        }

        return Array.Find([$"{plugins}/{name}.sock", $"{plugins}/{name}/{name}.sock"], path =>
        {
            using var socket = new HostPath(path).TryOpen(OpenFlags.Path);
            return socket is not null && FileStatus.Of(socket).Type == FileType.Socket;
        });
    }
}
