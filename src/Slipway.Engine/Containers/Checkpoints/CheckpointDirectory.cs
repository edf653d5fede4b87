using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Containers.Checkpoints;

/// <summary>
/// The checkpoints of a container, a directory each. What is in one is written and read by CRIU; memory of processes is in it, so it is root's alone.
/// </summary>
/// <param name="path">Absolute; it need not be there.</param>
/// <param name="container">Its name, for errors.</param>
internal sealed class CheckpointDirectory(string path, string container)
{
    private const uint Mode = 0x1C0; // 0700

    private readonly HostPath _path = new(path);

    /// <exception cref="EngineException">InvalidParameter: the directory asked for is no absolute path.</exception>
    public static CheckpointDirectory Of(string container, string own, string? asked) => asked is null || (asked.StartsWith('/') && !asked.Contains('\0', StringComparison.Ordinal))
        ? new CheckpointDirectory(asked ?? own, container)
        : throw ContainerErrors.Invalid($"invalid checkpoint directory {asked}: it must be an absolute path");

    public IReadOnlyList<string> List()
    {
        using SafeFileHandle? all = _path.TryOpen(OpenFlags.Directory);
        return all is null ? [] : [.. new DirectoryListing(all)
            .Where(entry => FileStatus.TryOf(all, Encoding.UTF8.GetString(entry.Name)) is { IsDirectory: true })
            .Select(entry => Encoding.UTF8.GetString(entry.Name)).Where(IsName).Order(StringComparer.Ordinal)];
    }

    /// <summary>Makes an empty one.</summary>
    /// <returns>Its path.</returns>
    /// <exception cref="EngineException">Conflict: there is one of the name. InvalidParameter: it is no name. System: it cannot be made.</exception>
    public string Create(string name)
    {
        Require(name);
        try
        {
            _path.CreateDirectories(Mode);
            using SafeFileHandle all = _path.Open(OpenFlags.Path | OpenFlags.Directory);
            DirectoryEntry.CreateDirectory(all, name, Mode);
            return (_path / name).Value;
        }
        catch (KernelException exception) when (exception.Errno == Errno.EEXIST)
        {
            throw new EngineException(ErrorKind.Conflict, $"cannot checkpoint container {container}: checkpoint with name {name} already exists for container {container}");
        }
        catch (KernelException exception)
        {
            throw new EngineException(ErrorKind.System, $"cannot checkpoint container {container}: {exception.Message}", exception);
        }
    }

    /// <summary>The path of one that is there.</summary>
    /// <exception cref="EngineException">NotFound. InvalidParameter: it is no name.</exception>
    public string Find(string name)
    {
        Require(name);
        return List().Contains(name) ? (_path / name).Value : throw new EngineException(ErrorKind.NotFound, $"checkpoint {name} does not exist for container {container}");
    }

    /// <exception cref="EngineException">NotFound. InvalidParameter: it is no name.</exception>
    public void Remove(string name)
    {
        _ = Find(name);
        using SafeFileHandle all = _path.Open(OpenFlags.Directory);
        TreeRemoval.Remove(all, name);
    }

    /// <summary>Names of checkpoints are as names of containers: none is a path.</summary>
    private static void Require(string name)
    {
        if (!IsName(name))
        {
            throw ContainerErrors.Invalid($"Invalid checkpoint ID ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
        }
    }

    private static bool IsName(string name) => name.Length >= 2 && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');
}
