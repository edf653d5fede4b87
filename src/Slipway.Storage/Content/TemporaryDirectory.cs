using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Storage.Content;

/// <summary><c>tmp</c>: what is being written, and what is being deleted. Nothing in it outlives a start.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    private long _sequence;

    public TemporaryDirectory(HostPath root)
    {
        Path = root / "tmp";
        Path.CreateDirectories(DataRoot.DirectoryMode);
        Descriptor = Path.Open(OpenFlags.Directory);
        TreeRemoval.Clear(Descriptor);

        // Layers and containers are born here, and keep their place on the disk when they get their name.
        Descriptors.SpreadSubdirectories(Descriptor);
    }

    public HostPath Path { get; }

    public SafeFileHandle Descriptor { get; }

    /// <summary>A name that nothing in the directory has.</summary>
    public string NewName(string kind) => string.Create(CultureInfo.InvariantCulture, $"{kind}-{Interlocked.Increment(ref _sequence)}");

    /// <summary>Makes <paramref name="name"/> of another directory vanish at once, then deletes it; nothing happens where there is none.</summary>
    public void Consume(SafeFileHandle directory, string name)
    {
        if (FileStatus.TryOf(directory, name) is null)
        {
            return;
        }

        var doomed = NewName("deleted");
        DirectoryEntry.Rename(directory, name, Descriptor, doomed);
        TreeRemoval.Remove(Descriptor, doomed);
    }

    public void Dispose() => Descriptor.Dispose();
}
