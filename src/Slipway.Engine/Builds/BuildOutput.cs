using Microsoft.Win32.SafeHandles;
using Slipway.Oci;

namespace Slipway.Engine.Builds;

/// <summary>Where the result goes.</summary>
public abstract record BuildOutput;

/// <summary>An image of this engine.</summary>
/// <param name="Names">Names without a tag get <c>latest</c>; empty: it is found by its id.</param>
/// <param name="Push">Also sent to the registries of its names.</param>
public sealed record ImageOutput(IReadOnlyList<Reference> Names, bool Push = false) : BuildOutput;

/// <summary>A tar for the client.</summary>
/// <param name="Open">Gives the stream to write to; the build disposes it when all is written.</param>
public sealed record ArchiveOutput(ArchiveFormat Format, IReadOnlyList<Reference> Names, Func<CancellationToken, Task<Stream>> Open) : BuildOutput;

public enum ArchiveFormat
{
    /// <summary>As <c>docker save</c> writes it; it is an OCI layout as well.</summary>
    Docker,

    /// <summary>An OCI image layout.</summary>
    Oci,

    /// <summary>The root file system alone.</summary>
    Tar,
}

/// <summary>An OCI image layout in a directory of the client, who keeps its index.</summary>
/// <param name="Blobs">Of the directory.</param>
public sealed record LayoutOutput(IReadOnlyList<Reference> Names, IBlobStore Blobs) : BuildOutput;

/// <summary>The files of the root file system, for whoever writes them.</summary>
public sealed record FilesOutput(IFilesTarget Target) : BuildOutput;

/// <summary>A directory of the client.</summary>
public interface IFilesTarget
{
    /// <param name="folder">Where in the directory: that of a platform (<c>linux_arm64</c>), or empty. Called for one after the other.</param>
    /// <param name="root">The root directory of the result, read-only, for the time of the call. Names inside are the image's: they are only resolved by descriptors.</param>
    Task WriteAsync(SafeFileHandle root, string folder, CancellationToken cancellationToken);
}

/// <summary>Where caches come from or go to.</summary>
/// <param name="Type"><c>inline</c>, <c>registry</c>, <c>local</c>; <c>image</c> is an image of this engine (the classic <c>--cache-from</c>).</param>
/// <param name="Attributes"><c>ref</c>, <c>src</c>, <c>dest</c>, <c>mode</c>.</param>
public sealed record CacheLocation(string Type, IReadOnlyDictionary<string, string> Attributes);
