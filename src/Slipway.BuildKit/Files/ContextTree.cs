using Microsoft.Win32.SafeHandles;

namespace Slipway.BuildKit.Files;

/// <summary>A synced directory of a client on this host, for one build at a time.</summary>
public sealed class ContextTree : IDisposable
{
    internal const string FilesName = "files";

    internal ContextTree(string name, string path, SafeFileHandle descriptor, SafeFileHandle files)
    {
        (Name, FilesPath, Descriptor, Files) = (name, path, descriptor, files);
    }

    /// <summary>Absolute path of the files.</summary>
    public string FilesPath { get; }

    internal string Name { get; }

    /// <summary>Of the directory that holds files and index.</summary>
    internal SafeFileHandle Descriptor { get; }

    internal SafeFileHandle Files { get; }

    public void Dispose()
    {
        Files.Dispose();
        Descriptor.Dispose();
    }
}
