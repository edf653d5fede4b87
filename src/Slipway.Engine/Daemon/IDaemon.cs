using System.Net;
using Slipway.Api.Daemon;

namespace Slipway.Engine.Daemon;

/// <summary>The engine as a whole: /info and /version.</summary>
public interface IDaemon
{
    /// <summary>Features that Docker calls experimental are on.</summary>
    bool IsExperimental { get; }

    SystemInfo Info();

    /// <summary>What <c>host-gateway</c> stands for; empty where there is neither a bridge nor an address set.</summary>
    IReadOnlyList<IPAddress> HostGateways { get; }

    /// <summary>Absolute path of the directory below which the engine keeps everything.</summary>
    string DataRoot { get; }

    /// <summary>What the engine counts of itself, as Prometheus reads it (docs/metrics.md).</summary>
    string Metrics();

    /// <param name="apiVersion">The highest API version the server speaks.</param>
    SystemVersion Version(string apiVersion, string minApiVersion);
}
