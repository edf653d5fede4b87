using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;

namespace Slipway.Kernel.Users;

/// <summary>
/// A user namespace held by descriptors: no process is needed to keep it (user_namespaces(7)). A container's child enters it by setns(2) and makes
/// its other namespaces in it, and mounts show files with its ids.
/// </summary>
public sealed class UserNamespace : IDisposable
{
    private UserNamespace(SafeFileHandle descriptor, IdMaps maps, SafeFileHandle? network) => (Descriptor, Maps, Network) = (descriptor, maps, network);

    /// <summary>Owned by this object; close-on-exec.</summary>
    public SafeFileHandle Descriptor { get; }

    public IdMaps Maps { get; }

    /// <summary>A network namespace that belongs to it, if one was asked for; owned by this object.</summary>
    public SafeFileHandle? Network { get; }

    /// <summary>Makes a namespace.</summary>
    /// <param name="network">With a network namespace that belongs to it: only one made by a process inside does.</param>
    /// <exception cref="KernelException">ENOSPC: the limit of <c>/proc/sys/user/max_user_namespaces</c>; EPERM: the host denies it.</exception>
    public static UserNamespace Create(IdMaps maps, bool network)
    {
        using NamespaceHolder holder = NamespaceHolder.Start(NamespaceHolder.CLONE_NEWUSER | (network ? CloneArguments.CLONE_NEWNET : 0));
        string process = string.Create(CultureInfo.InvariantCulture, $"/proc/{holder.Pid}");
        Write(process + "/uid_map", maps.Users);
        Write(process + "/gid_map", maps.Groups);
        SafeFileHandle descriptor = new HostPath(process + "/ns/user").Open(OpenFlags.ReadOnly);
        try
        {
            return new UserNamespace(descriptor, maps, network ? new HostPath(process + "/ns/net").Open(OpenFlags.ReadOnly) : null);
        }
        catch
        {
            descriptor.Dispose();
            throw;
        }
    }

    /// <summary>The namespace of a process; null where that is this process' own. The caller makes sure that the id is still the process' own.</summary>
    /// <param name="network">With a new network namespace that belongs to it.</param>
    /// <exception cref="KernelException">ENOENT or ESRCH: there is no such process.</exception>
    public static UserNamespace? OfProcess(int pid, bool network = false)
    {
        string process = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}");
        SafeFileHandle descriptor = new HostPath(process + "/ns/user").Open(OpenFlags.ReadOnly);
        try
        {
            using SafeFileHandle own = new HostPath("/proc/self/ns/user").Open(OpenFlags.ReadOnly);
            if (FileStatus.Of(own).IsSameFile(FileStatus.Of(descriptor)))
            {
                descriptor.Dispose();
                return null;
            }

            return new UserNamespace(descriptor, new IdMaps(Read(process + "/uid_map"), Read(process + "/gid_map")), network ? NamespaceHolder.MakeNetwork(descriptor) : null);
        }
        catch
        {
            descriptor.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Descriptor.Dispose();
        Network?.Dispose();
    }

    private static void Write(string path, IdMap map)
    {
        // One write(2): the kernel takes a map as a whole, once.
        using SafeFileHandle file = new HostPath(path).Open(OpenFlags.WriteOnly);
        Descriptors.Write(file, Encoding.ASCII.GetBytes(map.ToString()));
    }

    private static IdMap Read(string path)
    {
        using SafeFileHandle file = new HostPath(path).Open(OpenFlags.ReadOnly);
        return IdMap.Parse(Encoding.ASCII.GetString(Descriptors.ReadToEnd(file, IdMap.MaximumRanges * 40)));
    }
}
