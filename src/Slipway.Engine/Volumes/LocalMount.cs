using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Runtime.Compilation;

namespace Slipway.Engine.Volumes;

/// <summary>What the options <c>type</c>, <c>device</c> and <c>o</c> of a local volume say is to be mounted.</summary>
internal sealed class LocalMount
{
    private static readonly string[] s_known = ["type", "device", "o", "size"];

    private readonly string _type;
    private readonly string _options;

    private LocalMount(string type, string device, string options) => (_type, Device, _options) = (type, device, options);

    /// <summary>A directory of the host, a block device, or what the file system calls its source.</summary>
    public string Device { get; }

    /// <summary>Null for a volume that is nothing but a directory.</summary>
    public static LocalMount? Of(IReadOnlyDictionary<string, string>? options) =>
        options is { Count: > 0 } ? new LocalMount(options["type"], options["device"], options.GetValueOrDefault("o", "")) : null;

    /// <exception cref="EngineException">InvalidParameter: an option that is unknown, or one that is missing.</exception>
    public static void Validate(IReadOnlyDictionary<string, string>? options)
    {
        if (options is null or { Count: 0 })
        {
            return;
        }

        foreach (string key in options.Keys.Where(key => !s_known.Contains(key)))
        {
            throw VolumeErrors.Invalid($"invalid option: \"{key}\"");
        }

        if (options.ContainsKey("size"))
        {
            throw VolumeErrors.Invalid("quota size requested but no quota support");
        }

        foreach (string key in (ReadOnlySpan<string>)["device", "type"])
        {
            if (!options.ContainsKey(key))
            {
                throw VolumeErrors.Invalid($"missing required option: \"{key}\"");
            }
        }
    }

    /// <summary>The detached mount. May take long: a server is asked.</summary>
    /// <exception cref="KernelException">The kernel refuses it, or there is no such device.</exception>
    public SafeFileHandle Make()
    {
        MountOptions options = MountOptions.Parse(_options.Split(',', StringSplitOptions.RemoveEmptyEntries));
        return options.IsBind ? Bind(options) : FileSystem(options);
    }

    private SafeFileHandle Bind(MountOptions options)
    {
        if (!Device.StartsWith('/'))
        {
            throw new KernelException($"bind \"{Device}\"", Errno.ENOENT);
        }

        SafeFileHandle tree = MountTree.Clone(new HostPath(Device), options.IsRecursiveBind);
        try
        {
            MountPropagation propagation = options.Propagation == MountPropagation.Unchanged ? MountPropagation.Private : options.Propagation;
            MountTree.Change(tree, MountAttributeChange.Of(MountAttributes.None, MountAttributes.None, propagation), options.IsRecursiveBind);
            MountTree.Change(tree, MountAttributeChange.Of(options.Set, options.Clear), recursive: false);
            return tree;
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }

    private SafeFileHandle FileSystem(MountOptions options)
    {
        using FileSystemContext context = new(_type);
        context.Set("source", Device.Length == 0 ? _type : Device);
        foreach (string option in options.Data)
        {
            context.Set(Resolve(option));
        }

        return context.Mount(options.Set);
    }

    /// <summary>The kernel takes the server of a network file system only as an address, as mount.nfs(8) and mount.cifs(8) give it.</summary>
    private static string Resolve(string option)
    {
        if (!option.StartsWith("addr=", StringComparison.Ordinal) || IPAddress.TryParse(option["addr=".Length..], out _))
        {
            return option;
        }

        try
        {
            return $"addr={Dns.GetHostAddresses(option["addr=".Length..])[0]}";
        }
        catch (SocketException error)
        {
            throw new EngineException(ErrorKind.System, $"error resolving passed in network volume address: {error.Message}", error);
        }
    }
}
