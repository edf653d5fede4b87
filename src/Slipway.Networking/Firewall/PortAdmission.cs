namespace Slipway.Networking;

/// <summary>Which chain of the host's own firewall decides about a connection to a published port (the daemon's <c>published-ports</c>).</summary>
public enum PortAdmission
{
    /// <summary>The input chain, as about programs of the host that listen: what it closes stays closed.</summary>
    Input,

    /// <summary>The forward chain alone: the connection is redirected before the input chain would see it, as Docker does.</summary>
    Forward,
}
