using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Layers;

/// <summary>
/// The layers below one that is being unpacked, as the overlay would show them. Asked for only where a layer depends on them
/// (a hard link to a lower file, a directory it does not describe), because layers unpack in parallel: the first question
/// waits for them.
/// </summary>
/// <param name="open">Waits until the lower layers are whole; their <c>diff</c> directories, highest first.</param>
internal sealed class LowerLayers(Func<IReadOnlyList<SafeFileHandle>> open) : IDisposable
{
    private static ReadOnlySpan<byte> Opaque => "trusted.overlay.opaque"u8;

    private IReadOnlyList<SafeFileHandle>? _layers;

    public static LowerLayers None { get; } = new(() => []);

    /// <summary>Finds what the lower layers have at a cleaned path; null where there is nothing.</summary>
    public LowerEntry? Find(ReadOnlySpan<byte> path)
    {
        foreach (var layer in _layers ??= open())
        {
            switch (Look(layer, path, out var entry))
            {
                case Finding.Found:
                    return entry;
                case Finding.Hidden:
                    return null;
                default:
                    continue;
            }
        }

        return null;
    }

    /// <summary>The root directory of the highest lower layer, or null for none.</summary>
    public SafeFileHandle? Top() => (_layers ??= open()).Count == 0 ? null : _layers[0];

    public void Dispose()
    {
        foreach (var layer in _layers ?? [])
        {
            layer.Dispose();
        }
    }

    /// <summary>Walks one layer, component by component and without following links, so that whiteouts and opaque directories on the way count.</summary>
    private static Finding Look(SafeFileHandle layer, ReadOnlySpan<byte> path, out LowerEntry? entry)
    {
        entry = null;
        var opaque = false;
        var directory = Descriptors.Duplicate(layer);
        while (true)
        {
            var slash = path.IndexOf((byte)'/');
            var name = slash < 0 ? path : path[..slash];
            if (FileStatus.TryOf(directory, name) is not { } status)
            {
                directory.Dispose();
                return opaque ? Finding.Hidden : Finding.Absent;
            }

            if (status.Type == FileType.CharacterDevice && status.SpecialDevice == default)
            {
                directory.Dispose();
                return Finding.Hidden;
            }

            if (slash < 0)
            {
                entry = new LowerEntry(directory, name.ToArray(), status);
                return Finding.Found;
            }

            if (!status.IsDirectory)
            {
                directory.Dispose();
                return Finding.Hidden;
            }

            opaque |= ExtendedAttributes.Get(directory, name, Opaque) is [(byte)'y'];
            var next = DirectoryEntry.Open(directory, name, OpenFlags.Path | OpenFlags.Directory);
            directory.Dispose();
            directory = next;
            path = path[(slash + 1)..];
        }
    }

    private enum Finding
    {
        /// <summary>Nothing here: the next layer down decides.</summary>
        Absent,
        Found,

        /// <summary>Whatever is further down does not show.</summary>
        Hidden,
    }
}

/// <summary>A file of a lower layer: a name in an open directory.</summary>
internal sealed record LowerEntry(SafeFileHandle Directory, byte[] Name, FileStatus Status) : IDisposable
{
    public void Dispose() => Directory.Dispose();
}
