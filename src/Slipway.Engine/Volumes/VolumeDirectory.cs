using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Volumes;

/// <summary>The volumes below the data root: <c>volumes/&lt;name&gt;/_data</c>. A volume is its directory; nothing else is known of it.</summary>
internal sealed class VolumeDirectory(string dataRoot)
{
    private const int AnonymousNameLength = 64;

    private readonly string _path = $"{dataRoot}/volumes";

    /// <summary>All volumes, by name.</summary>
    public IReadOnlyList<string> List()
    {
        using SafeFileHandle? directory = new HostPath(_path).TryOpen(OpenFlags.Directory);
        return directory is null
            ? []
            : [.. new DirectoryListing(directory).Where(entry => entry.Type is FileType.Directory or FileType.None).Select(entry => Encoding.UTF8.GetString(entry.Name)).Order(StringComparer.Ordinal)];
    }

    public string MountPoint(string name) => $"{_path}/{name}/_data";

    /// <summary>The time of the volume's directory: when its content's directory was made.</summary>
    public DateTimeOffset Created(string name)
    {
        using SafeFileHandle? directory = new HostPath(_path).TryOpen(OpenFlags.Path | OpenFlags.Directory);
        return directory is not null && FileStatus.TryOf(directory, name) is { } status
            ? DateTimeOffset.FromUnixTimeSeconds(status.ModificationTime.Seconds)
            : DateTimeOffset.UnixEpoch;
    }

    /// <summary>Removes a volume with its content: by descriptors, links are not followed. Nothing happens where there is none.</summary>
    public void Remove(string name)
    {
        using SafeFileHandle? directory = new HostPath(_path).TryOpen(OpenFlags.Path | OpenFlags.Directory);
        if (directory is not null && FileStatus.TryOf(directory, name) is not null)
        {
            TreeRemoval.Remove(directory, name);
        }
    }

    /// <summary>Names that the engine gave look like ids; nobody else may have given one, so such a volume goes with an ordinary prune.</summary>
    public static bool IsAnonymous(string name) => name.Length == AnonymousNameLength && name.All(char.IsAsciiHexDigitLower);
}
