using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Slipway.Engine;
using Slipway.Server.Auditing;
using Slipway.Server.Authorization;
using Slipway.Server.Authorization.Plugins;
using Slipway.Server.Metrics;
using Slipway.Server.Transport;

namespace Slipway.Server;

/// <summary>Where and how the Engine API is served.</summary>
public sealed record ServerOptions
{
    /// <summary><c>unix:///run/slipway.sock</c>: where the server listens and clients look unless told otherwise.</summary>
    public const string DefaultHost = "unix://" + ListenAddress.DefaultPath;

    /// <summary><c>unix:///path</c>, <c>tcp://127.0.0.1:port</c> (beyond loopback only with client certificates) or <c>fd://</c> (systemd).</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [DefaultHost];

    /// <summary>TLS on all TCP addresses; null for none.</summary>
    public ServerTls? Tls { get; init; }

    /// <summary>The group that may use a unix socket: the first of these that exists; root where none does.</summary>
    public IReadOnlyList<string> Groups { get; init; } = ["slipway", "docker"];

    /// <summary>Unix sockets beside <see cref="Hosts"/>, each with a policy.</summary>
    public IReadOnlyList<ApiSocket> Sockets { get; init; } = [];

    /// <summary>Where the engine's counts are served to Prometheus, as <c>127.0.0.1:9323</c>; null: nowhere.</summary>
    public string? MetricsAddress { get; init; }

    /// <summary>Where decisions about requests are recorded; null: nowhere.</summary>
    public AuditOptions? Audit { get; init; }

    /// <summary>Plugins that decide on every request; null: none, ever.</summary>
    public AuthorizationPlugins? Plugins { get; init; }

    /// <summary>Called once the server accepts connections.</summary>
    public Action? Listening { get; init; }

    /// <summary>Send the server the requests of a <c>docker run</c> once it listens, so that the first client need not wait for code to be prepared.</summary>
    public bool WarmUp { get; init; } = true;

    /// <summary>How long requests under way may take when the server stops; streams are ended at once.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public ILoggerFactory Logging { get; init; } = NullLoggerFactory.Instance;

    /// <summary>Looks at what can be known to be wrong before anything is started.</summary>
    /// <exception cref="EngineException">InvalidParameter: an address, a TLS file or a policy that cannot be used.</exception>
    public void Validate()
    {
        Tls?.Validate();
        if (MetricsAddress is not null)
        {
            MetricsServer.Parse(MetricsAddress);
        }

        foreach (string host in Hosts)
        {
            ListenAddress.Parse(host, Tls);
        }

        foreach (ApiSocket socket in Sockets)
        {
            socket.Policy?.Validate();
        }
    }
}
