using System.Text.Json;
using Slipway.Engine.Plugins;

namespace Slipway.Engine.Volumes.Plugins;

/// <summary>A driver that is another program: the calls <c>VolumeDriver.*</c> of Docker's plugin protocol.</summary>
internal sealed class PluginDriver : IVolumeDriver, IDisposable
{
    /// <summary>A mount may have to wait for a server.</summary>
    private static readonly TimeSpan s_timeout = TimeSpan.FromMinutes(2);

    private readonly PluginClient _client;

    private PluginDriver(PluginClient client, string scope) => (_client, Scope) = (client, scope);

    public string Scope { get; }

    /// <summary>Greets the plugin.</summary>
    /// <returns>Null where it is no driver of volumes.</returns>
    public static async Task<PluginDriver?> ActivateAsync(PluginAddress address, CancellationToken cancellationToken)
    {
        PluginClient client = new(address, s_timeout);
        try
        {
            PluginAnswer greeting = await CallAsync(client, "Plugin.Activate", new PluginCall(), cancellationToken);
            if (greeting.Implements?.Contains("VolumeDriver") != true)
            {
                client.Dispose();
                return null;
            }

            return new PluginDriver(client, await ScopeAsync(client, cancellationToken));
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    public async Task<string> CreateAsync(string name, VolumeDocument document, CancellationToken cancellationToken)
    {
        await CallAsync(_client, "VolumeDriver.Create", new PluginCall { Name = name, Opts = document.Options ?? new Dictionary<string, string>() }, cancellationToken);
        PluginAnswer made = await CallAsync(_client, "VolumeDriver.Get", new PluginCall { Name = name }, cancellationToken);
        return made.Volume?.Mountpoint ?? "";
    }

    public Task RemoveAsync(string name, CancellationToken cancellationToken) => CallAsync(_client, "VolumeDriver.Remove", new PluginCall { Name = name }, cancellationToken);

    public async Task<string> MountAsync(string name, VolumeDocument document, string user, CancellationToken cancellationToken)
    {
        PluginAnswer answer;
        try
        {
            answer = await CallAsync(_client, "VolumeDriver.Mount", new PluginCall { Name = name, ID = user }, cancellationToken);
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
        CallAsync(_client, "VolumeDriver.Unmount", new PluginCall { Name = name, ID = user }, CancellationToken.None);

    public bool OwnsFiles(VolumeDocument document) => false;

    public bool OwnsDirectory(string name, VolumeDocument document) => false;

    public void Dispose() => _client.Dispose();

    /// <summary>A call that was added later: a plugin that does not know it is local.</summary>
    private static async Task<string> ScopeAsync(PluginClient client, CancellationToken cancellationToken)
    {
        try
        {
            PluginAnswer answer = await CallAsync(client, "VolumeDriver.Capabilities", new PluginCall(), cancellationToken);
            return answer.Capabilities?.Scope is "global" ? "global" : LocalDriver.LocalScope;
        }
        catch (EngineException)
        {
            return LocalDriver.LocalScope;
        }
    }

    /// <exception cref="EngineException">System: the plugin does not answer, or answers with an error; the message begins with the method.</exception>
    private static async Task<PluginAnswer> CallAsync(PluginClient client, string method, PluginCall call, CancellationToken cancellationToken)
    {
        PluginReply reply = await client.PostAsync(method, JsonSerializer.SerializeToUtf8Bytes(call, PluginJson.Default.PluginCall), cancellationToken);
        PluginAnswer answer = Parse(reply.Body) ?? new PluginAnswer { Err = reply.IsSuccess && reply.Body.Length == 0 ? "" : $"unexpected answer, status {reply.Status}" };
        string error = string.IsNullOrEmpty(answer.Err) && !reply.IsSuccess ? $"status {reply.Status}" : answer.Err ?? "";
        return error.Length == 0 ? answer : throw new EngineException(ErrorKind.System, $"{method}: {error}");
    }

    /// <summary>Null for what is no JSON object.</summary>
    private static PluginAnswer? Parse(byte[] body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, PluginJson.Default.PluginAnswer);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
