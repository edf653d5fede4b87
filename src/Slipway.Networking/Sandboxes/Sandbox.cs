using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Netlink;

namespace Slipway.Networking;

/// <summary>
/// A container's network namespace, owned by descriptor: no mount and no process keeps it, so that it is gone with its last user,
/// whatever happens to the engine.
/// </summary>
public sealed class Sandbox : IDisposable
{
    internal Sandbox(NetworkNamespace networkNamespace, RouteSession session, PooledLink? link)
    {
        Namespace = networkNamespace;
        Session = session;
        Link = link;
    }

    internal const string FirstLinkName = "eth0";

    internal NetworkNamespace Namespace { get; }

    /// <summary>An rtnetlink session inside the namespace.</summary>
    internal RouteSession Session { get; }

    /// <summary>The link that waits in a pooled sandbox; null once it is attached.</summary>
    internal PooledLink? Link { get; set; }

    /// <summary>The first of eth0, eth1, … (or with another prefix) that is free.</summary>
    internal string NextLinkName(string prefix = "eth")
    {
        HashSet<string> taken = [.. Session.Links().Select(link => link.Name)];
        return Enumerable.Range(0, int.MaxValue).Select(i => $"{prefix}{i}").First(name => !taken.Contains(name));
    }

    /// <summary>A descriptor of the namespace for setns(2), which the caller owns (close-on-exec).</summary>
    public SafeFileHandle DuplicateNamespace() => Namespace.Duplicate();

    /// <summary>Lets go of the namespace; the processes inside keep it.</summary>
    public void Dispose()
    {
        Session.Dispose();
        Namespace.Dispose();
    }
}
