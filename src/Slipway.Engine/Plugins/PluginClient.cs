using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Slipway.Engine.Plugins;

/// <summary>Calls to a plugin of Docker's first kind: a program that answers HTTP on a unix socket or by TCP (docs.docker.com, "Docker Plugin API").</summary>
/// <remarks>Nothing waits without bound: a plugin that does not answer in time has failed.</remarks>
public sealed class PluginClient : IDisposable
{
    private const string MediaType = "application/vnd.docker.plugins.v1.2+json";

    /// <summary>How long an address that nobody listens at is tried again: a plugin that is started anew.</summary>
    private static readonly TimeSpan s_absence = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);
    private static readonly MediaTypeHeaderValue s_contentType = new(MediaType);
    private static readonly MediaTypeWithQualityHeaderValue s_accept = new(MediaType);

    private readonly TimeSpan _timeout;
    private readonly HttpClient _client;

    /// <param name="timeout">How long one answer may take.</param>
    public PluginClient(PluginAddress address, TimeSpan timeout)
    {
        _timeout = timeout;
        _client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = (_, cancellationToken) => ConnectAsync(address, cancellationToken),
            AllowAutoRedirect = false,
            UseProxy = false,

            // A plugin that was started anew has closed what was open.
            PooledConnectionIdleTimeout = TimeSpan.Zero,
        })
        {
            BaseAddress = new Uri("http://plugin/"),
            Timeout = timeout,
            MaxResponseContentBufferSize = 1 << 20,
        };
        _client.DefaultRequestHeaders.Accept.Add(s_accept);
    }

    /// <param name="method">For example <c>VolumeDriver.Mount</c>.</param>
    /// <param name="call">The arguments, as JSON.</param>
    /// <exception cref="EngineException">System: the plugin does not answer; the message begins with the method.</exception>
    public async Task<PluginReply> PostAsync(string method, byte[] call, CancellationToken cancellationToken)
    {
        try
        {
            using ByteArrayContent content = new(call);
            content.Headers.ContentType = s_contentType;
            using HttpResponseMessage response = await _client.PostAsync(new Uri(method, UriKind.Relative), content, cancellationToken);
            return new PluginReply((int)response.StatusCode, await response.Content.ReadAsByteArrayAsync(cancellationToken));
        }
        catch (HttpRequestException exception)
        {
            throw new EngineException(ErrorKind.System, $"{method}: {exception.Message}", exception);
        }
        catch (TaskCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EngineException(ErrorKind.System, $"{method}: the plugin did not answer within {_timeout.TotalSeconds} s", exception);
        }
    }

    public void Dispose() => _client.Dispose();

    private static async ValueTask<Stream> ConnectAsync(PluginAddress address, CancellationToken cancellationToken)
    {
        for (TimeSpan waited = TimeSpan.Zero; ; waited += s_pause)
        {
            try
            {
                return await address.ConnectAsync(cancellationToken);
            }
            catch (SocketException) when (waited < s_absence)
            {
                await Task.Delay(s_pause, cancellationToken);
            }
        }
    }
}

/// <summary>What a plugin has answered.</summary>
/// <param name="Status">Of HTTP.</param>
/// <param name="Body">At most a mebibyte.</param>
public sealed record PluginReply(int Status, byte[] Body)
{
    public bool IsSuccess => Status is >= 200 and < 300;
}
