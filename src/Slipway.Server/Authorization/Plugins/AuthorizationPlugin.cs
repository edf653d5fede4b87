using System.Text.Json;
using Slipway.Engine;
using Slipway.Engine.Plugins;

namespace Slipway.Server.Authorization.Plugins;

/// <summary>One plugin. Whatever it does but allow is a refusal: an error, an answer that is none, silence.</summary>
internal sealed class AuthorizationPlugin(string name, PluginClient client)
{
    private const string Subsystem = "authz";

    private bool _activated;

    public string Name => name;

    /// <exception cref="EngineException">System: it does not answer, or is no plugin for authorization.</exception>
    public async Task ActivateAsync(CancellationToken cancellationToken)
    {
        if (_activated)
        {
            return;
        }

        PluginReply reply = await AskAsync("Plugin.Activate", "{}"u8.ToArray(), cancellationToken);
        _activated = Parse(reply, PluginAuthorizationJson.Default.PluginGreeting)?.Implements?.Contains(Subsystem) == true
            ? true
            : throw Failed($"Plugin does not implement the requested driver ({Subsystem})");
    }

    /// <param name="method"><c>AuthZPlugin.AuthZReq</c> or <c>AuthZPlugin.AuthZRes</c>.</param>
    /// <exception cref="EngineException">Forbidden: it denies. System: it does not say that it allows.</exception>
    public async Task AdmitAsync(string method, byte[] call, CancellationToken cancellationToken)
    {
        await ActivateAsync(cancellationToken);
        PluginReply reply = await AskAsync(method, call, cancellationToken);
        PluginVerdict? verdict = Parse(reply, PluginAuthorizationJson.Default.PluginVerdict);
        if (!reply.IsSuccess)
        {
            throw Failed($"{method}: {(string.IsNullOrEmpty(verdict?.Err) ? $"status {reply.Status}" : verdict.Err)}");
        }

        if (verdict is null)
        {
            throw Failed($"{method}: its answer is no JSON object of the protocol");
        }

        if (!verdict.Allow)
        {
            throw new EngineException(ErrorKind.Forbidden, $"authorization denied by plugin {name}: {verdict.Msg}");
        }

        if (!string.IsNullOrEmpty(verdict.Err))
        {
            throw Failed($"{method}: {verdict.Err}");
        }
    }

    private async Task<PluginReply> AskAsync(string method, byte[] call, CancellationToken cancellationToken)
    {
        try
        {
            return await client.PostAsync(method, call, cancellationToken);
        }
        catch (EngineException exception)
        {
            throw Failed(exception.Message, exception);
        }
    }

    private EngineException Failed(string reason, Exception? cause = null) => new(ErrorKind.System, $"plugin {name} failed with error: {reason}", cause);

    private static T? Parse<T>(PluginReply reply, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(reply.Body, type);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
