using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;

namespace Slipway.Networking;

/// <summary>The kernel's settings of a sandbox (Documentation/networking/ip-sysctl.rst). Used by one thread.</summary>
public sealed class SandboxSettings : IDisposable
{
    /// <summary>For so many sandboxes one procfs is used: a lookup in it takes longer with each, and mounting one costs as much as several lookups.</summary>
    private const int UsesOfOne = 16;

    private RootDirectory? _proc;
    private int _uses;

    /// <summary>By name, what Docker sets in every container with a network namespace of its own (since 20.10).</summary>
    public static IReadOnlyDictionary<string, string> Docker { get; } = new Dictionary<string, string>
    {
        ["net.ipv4.ping_group_range"] = "0 2147483647",
        ["net.ipv4.ip_unprivileged_port_start"] = "0",
    };

    public void Dispose() => _proc?.Dispose();

    /// <summary>Sets up the namespace that the calling thread is in.</summary>
    /// <exception cref="KernelException">The kernel has no such setting, or refused the value.</exception>
    internal void Apply()
    {
        if (_uses++ % UsesOfOne == 0)
        {
            _proc?.Dispose();
            _proc = PrivateProc.Mount();
        }

        foreach ((string name, string value) in Docker)
        {
            Set(name, value, required: true);
        }

        // Links have no IPv6, also those of networks that it is connected to later; the loopback device is there already and keeps ::1.
        // The host's kernel may have none at all.
        Set("net.ipv6.conf.default.disable_ipv6", "1", required: false);
    }

    private void Set(string name, string value, bool required)
    {
        string path = "sys/" + name.Replace('.', '/');
        int errno = _proc!.TryOpen(path, OpenFlags.WriteOnly, out var file, resolution: PrivateProc.Strict);
        if (errno == Errno.ENOENT && !required)
        {
            return;
        }

        if (errno != 0)
        {
            throw new KernelException($"open /proc/{path}", errno);
        }

        using (file)
        {
            Descriptors.Write(file!, Encoding.ASCII.GetBytes(value));
        }
    }
}
