using System.Globalization;
using Slipway.Api.Containers;
using Slipway.Kernel.Files;
using Slipway.Storage.Copies;

namespace Slipway.Engine.Containers.Copy;

/// <summary>What a path is, as the API tells it.</summary>
internal static class PathStats
{
    // os.FileMode (pkg.go.dev/io/fs#FileMode).
    private const uint ModeDirectory = 1u << 31;
    private const uint ModeSymbolicLink = 1u << 27;
    private const uint ModeDevice = 1u << 26;
    private const uint ModeFifo = 1u << 25;
    private const uint ModeSocket = 1u << 24;
    private const uint ModeSetUser = 1u << 23;
    private const uint ModeSetGroup = 1u << 22;
    private const uint ModeCharacterDevice = 1u << 21;
    private const uint ModeSticky = 1u << 20;

    public static ContainerPathStat Of(PathStatus path) =>
        new(path.Name, path.Status.Size, Mode(path.Status), Time(path.Status.ModificationTime), path.LinkTarget);

    private static uint Mode(in FileStatus status)
    {
        uint mode = status.Permissions & 0x1ff;
        mode |= (status.Permissions & 0x800) != 0 ? ModeSetUser : 0;
        mode |= (status.Permissions & 0x400) != 0 ? ModeSetGroup : 0;
        mode |= (status.Permissions & 0x200) != 0 ? ModeSticky : 0;
        return mode | status.Type switch
        {
            FileType.Directory => ModeDirectory,
            FileType.SymbolicLink => ModeSymbolicLink,
            FileType.BlockDevice => ModeDevice,
            FileType.CharacterDevice => ModeDevice | ModeCharacterDevice,
            FileType.Fifo => ModeFifo,
            FileType.Socket => ModeSocket,
            _ => 0,
        };
    }

    /// <summary>A file may claim any time; years that RFC 3339 cannot write are cut to those it can.</summary>
    private static string Time(FileTime time)
    {
        long seconds = Math.Clamp(time.Seconds, DateTimeOffset.MinValue.ToUnixTimeSeconds(), DateTimeOffset.MaxValue.ToUnixTimeSeconds());
        string text = DateTimeOffset.FromUnixTimeSeconds(seconds).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture);
        string fraction = time.Nanoseconds == 0 ? "" : "." + time.Nanoseconds.ToString("D9", CultureInfo.InvariantCulture).TrimEnd('0');
        return $"{text}{fraction}Z";
    }
}
