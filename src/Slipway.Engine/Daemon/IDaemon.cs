using Slipway.Api.Daemon;

namespace Slipway.Engine.Daemon;

/// <summary>The engine as a whole: /info and /version.</summary>
public interface IDaemon
{
    SystemInfo Info();

    /// <param name="apiVersion">The highest API version the server speaks.</param>
    SystemVersion Version(string apiVersion, string minApiVersion);
}
