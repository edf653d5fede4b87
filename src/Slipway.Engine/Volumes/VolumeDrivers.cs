using System.Collections.Concurrent;
using Slipway.Engine.Plugins;
using Slipway.Engine.Volumes.Plugins;
using Slipway.Storage.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>The drivers of volumes, by name: <c>local</c>, and plugins.</summary>
internal sealed class VolumeDrivers(IVolumeStore store, PluginDirectory plugins) : IDisposable
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

        if (plugins.Find(name) is not { } address)
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
            if (!_activated.TryGetValue(name, out driver) && (driver = await PluginDriver.ActivateAsync(address, cancellationToken)) is not null)
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
}
