using System.Net.Sockets;
using System.Net;
using Microsoft.Win32.SafeHandles;
using Slipway.Engine.Logging;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Engine.Containers.Create;
using Slipway.Kernel;
using Slipway.Runtime.Compilation;
using Slipway.Storage.Volumes;

namespace Slipway.Engine.Volumes;

/// <summary>What the options <c>type</c>, <c>device</c> and <c>o</c> of a local volume say is to be mounted.</summary>
internal sealed class LocalMount
{
    private static readonly string[] s_known = ["type", "device", "o", SizeOption];

    public const string SizeOption = "size";

    private readonly string _type;
    private readonly string _options;

    private LocalMount(string type, string device, string options) => (_type, Device, _options) = (type, device, options);

    /// <summary>A directory of the host, a block device, or what the file system calls its source.</summary>
    public string Device { get; }

    /// <summary>Null for a volume that is nothing but a directory.</summary>
    public static LocalMount? Of(IReadOnlyDictionary<string, string>? options) =>
        options?.ContainsKey("type") == true ? new LocalMount(options["type"], options["device"], options.GetValueOrDefault("o", "")) : null;

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

        if (SizeOf(options) is not null)
        {
            if (options.Count > 1)
            {
                throw VolumeErrors.Invalid($"option \"{SizeOption}\" cannot be combined with others: what is mounted has the size it has");
            }

            return;
        }

        string[] words = options.GetValueOrDefault("o", "").Split(',');
        if (Array.Find(words, IdMapText.IsOption) is { } idMap)
        {
            _ = IdMapText.Ids(idMap);
            if (!words.Any(word => word is "bind" or "rbind"))
            {
                throw VolumeErrors.Invalid("the option idmap is for volumes that bind a directory: type=none,o=bind,idmap=…");
            }
        }

        foreach (string key in (ReadOnlySpan<string>)["device", "type"])
        {
            if (!options.ContainsKey(key))
            {
                throw VolumeErrors.Invalid($"missing required option: \"{key}\"");
            }
        }
    }

    /// <summary>With which ids the files of a volume show in containers (<see cref="IdMapText"/>); null: with those on disk.</summary>
    public static string? IdMapOf(IReadOnlyDictionary<string, string>? options) =>
        options is not null && Array.Find(options.GetValueOrDefault("o", "").Split(','), IdMapText.IsOption) is { } word ? IdMapText.Ids(word) : null;

    /// <summary>How many bytes a volume may take; null where it has no limit of its own.</summary>
    /// <exception cref="EngineException">InvalidParameter: no size, or one too small.</exception>
    public static long? SizeOf(IReadOnlyDictionary<string, string>? options)
    {
        if (options?.TryGetValue(SizeOption, out string? text) != true)
        {
            return null;
        }

        long size;
        try
        {
            size = GoText.Size(text!);
        }
        catch (Exception exception) when (exception is FormatException or OverflowException)
        {
            throw new EngineException(ErrorKind.InvalidParameter, $"invalid size: '{text}'", exception);
        }

        return size >= IVolumeStore.MinimumSize ? size : throw VolumeErrors.Invalid($"invalid size: '{text}': a volume has at least {IVolumeStore.MinimumSize >> 20} MiB");
    }

    /// <summary>The detached mount. May take long: a server is asked.</summary>
    /// <exception cref="KernelException">The kernel refuses it, or there is no such device.</exception>
    public SafeFileHandle Make()
    {
        MountOptions options = MountOptions.Parse([.. _options.Split(',', StringSplitOptions.RemoveEmptyEntries).Where(word => !IdMapText.IsOption(word))]);
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
        // First: an address that is wrong is told on a kernel without the file system too.
        string[] data = [.. options.Data.Select(Resolve)];
        using FileSystemContext context = new(_type);
        context.Set("source", Device.Length == 0 ? _type : Device);
        foreach (string option in data)
        {
            context.Set(option);
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
