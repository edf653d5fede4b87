using Slipway.Kernel.Files;

namespace Slipway.Tests.Unit.Files;

/// <summary>A directory of the test's own, removed after it.</summary>
internal sealed class ScratchDirectory : IDisposable
{
    public ScratchDirectory()
    {
        Path = Directory.CreateTempSubdirectory("slipway-compile-").FullName;
    }

    public string Path { get; }

    public string this[string relative] => System.IO.Path.Combine(Path, relative);

    /// <summary>A directory inside, as a root.</summary>
    public RootDirectory Root(string relative)
    {
        Directory.CreateDirectory(this[relative]);
        return new HostPath(this[relative]).OpenRoot();
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
