using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// A container's network namespace, owned by descriptor: no mount and no process keeps it, so that it is gone with its last user,
/// whatever happens to the engine.
/// </summary>
public sealed class Sandbox : IDisposable
{
    private readonly NetworkNamespace _namespace;

    internal Sandbox(NetworkNamespace networkNamespace, RouteSession session, PooledLink? link)
    {
        _namespace = networkNamespace;
        Session = session;
        Link = link;
    }

    /// <summary>An rtnetlink session inside the namespace.</summary>
    internal RouteSession Session { get; }

    /// <summary>The link that waits in a pooled sandbox; null once it is attached.</summary>
    internal PooledLink? Link { get; set; }

    /// <summary>A descriptor of the namespace for setns(2), which the caller owns (close-on-exec).</summary>
    public SafeFileHandle DuplicateNamespace() => _namespace.Duplicate();

    /// <summary>Lets go of the namespace; the processes inside keep it.</summary>
    public void Dispose()
    {
        Session.Dispose();
        _namespace.Dispose();
    }
}
