using Microsoft.Win32.SafeHandles;

namespace Slipway.Registry.Server.Transport;

/// <summary>
/// The sending side of a plaintext connection, as a feature of its requests. The HTTP server counts and frames a response's bytes by
/// what is advanced in its body writer; while a file is attached, the bytes that are advanced are not those of the
/// writer's memory but the file's, sent by the kernel when the writer is flushed.
/// </summary>
internal interface IFileOutput
{
    /// <summary>From now on what is advanced is the file's content from <paramref name="offset"/> on. What was written before keeps its place.</summary>
    void Attach(SafeFileHandle file, long offset);

    /// <summary>All that was advanced has been flushed; what follows is memory again.</summary>
    void Detach();
}
