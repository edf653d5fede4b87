using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;

namespace Slipway.Engine.Builds.Sources;

/// <summary>A file without a name: gone with its descriptor, whatever ends the engine.</summary>
internal sealed class Spool(SafeFileHandle file) : IDisposable
{
    private const int BufferSize = 256 << 10;

    public SafeFileHandle File { get; } = file;

    /// <summary>From the beginning; disposing it leaves the spool.</summary>
    public FileStream OpenStream() => new(Descriptors.Reopen(File, OpenFlags.ReadOnly), FileAccess.Read, BufferSize);

    public void Dispose() => File.Dispose();
}

/// <summary>Where spools lie: among what the data root has for the time being.</summary>
internal sealed class SpoolDirectory(string dataRoot)
{
    private const int BufferSize = 1 << 20;
    private const uint FileMode = 0x180; // 0600

    private static long s_sequence;

    private readonly HostPath _path = new HostPath(dataRoot) / "tmp";

    public Spool Create()
    {
        using SafeFileHandle directory = _path.Open(OpenFlags.Path | OpenFlags.Directory);
        string name = string.Create(CultureInfo.InvariantCulture, $"build-{Interlocked.Increment(ref s_sequence)}");
        SafeFileHandle file = DirectoryEntry.Open(directory, name, OpenFlags.ReadWrite | OpenFlags.Create | OpenFlags.Exclusive, FileMode);
        DirectoryEntry.Unlink(directory, name);
        return new Spool(file);
    }

    /// <summary>Takes what a client sends.</summary>
    /// <param name="received">Told how many bytes have come.</param>
    public async Task<Spool> ReceiveAsync(Stream source, Func<long, ValueTask>? received, CancellationToken cancellationToken)
    {
        Spool spool = Create();
        try
        {
            byte[] buffer = new byte[BufferSize];
            long length = 0;
            for (int count = await source.ReadAsync(buffer, cancellationToken); count > 0; count = await source.ReadAsync(buffer, cancellationToken))
            {
                Descriptors.WriteAt(spool.File, buffer.AsSpan(0, count), length);
                length += count;
                await (received?.Invoke(length) ?? ValueTask.CompletedTask);
            }

            return spool;
        }
        catch
        {
            spool.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="ReceiveAsync"/>, by blocking calls.</summary>
    public Spool Fill(Stream source, CancellationToken cancellationToken)
    {
        Spool spool = Create();
        try
        {
            byte[] buffer = new byte[BufferSize];
            long length = 0;
            for (int count = source.Read(buffer); count > 0; count = source.Read(buffer))
            {
                cancellationToken.ThrowIfCancellationRequested();
                Descriptors.WriteAt(spool.File, buffer.AsSpan(0, count), length);
                length += count;
            }

            return spool;
        }
        catch
        {
            spool.Dispose();
            throw;
        }
    }
}
