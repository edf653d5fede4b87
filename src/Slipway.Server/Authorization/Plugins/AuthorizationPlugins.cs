using Slipway.Engine;
using Slipway.Engine.Plugins;

namespace Slipway.Server.Authorization.Plugins;

/// <summary>The plugins that every request has to pass, in order (<c>authorization-plugins</c>). They may be replaced while requests are under way.</summary>
/// <remarks>Sockets of plugins that were replaced stay open: requests may still wait for their answers.</remarks>
public sealed class AuthorizationPlugins(PluginDirectory directory)
{
    private volatile IReadOnlyList<AuthorizationPlugin> _plugins = [];

    /// <summary>How long a plugin may take over one answer.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    internal IReadOnlyList<AuthorizationPlugin> Current => _plugins;

    /// <summary>Requests that begin from now on are asked of these; a plugin that is named already is kept.</summary>
    /// <exception cref="EngineException">InvalidParameter: there is no such plugin; nothing is changed.</exception>
    public void Replace(IEnumerable<string> names)
    {
        IReadOnlyList<AuthorizationPlugin> old = _plugins;
        _plugins = [.. names.Distinct(StringComparer.Ordinal).Select(name => old.FirstOrDefault(plugin => plugin.Name == name) ?? Find(name))];
    }

    /// <summary>Greets all plugins, so that one that is none is found out before the first request.</summary>
    /// <exception cref="EngineException">One does not answer, or is no plugin for authorization.</exception>
    public async Task ActivateAsync(CancellationToken cancellationToken)
    {
        foreach (AuthorizationPlugin plugin in _plugins)
        {
            await plugin.ActivateAsync(cancellationToken);
        }
    }

    private AuthorizationPlugin Find(string name)
    {
        PluginAddress? address = null;
        string reason = $"plugin \"{name}\" not found";
        try
        {
            address = directory.Find(name);
        }
        catch (EngineException exception)
        {
            reason = exception.Message;
        }

        return address is not null ? new AuthorizationPlugin(name, new PluginClient(address, Timeout))
            : throw new EngineException(ErrorKind.InvalidParameter, $"failed to validate authorization plugin: {reason}");
    }
}
