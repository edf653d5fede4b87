using System.Text;
using Slipway.Engine.Builds;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Storage.Threading;

namespace Slipway.Server.BuildKit;

/// <summary>A directory of which one file is remembered: errors show lines of the Dockerfile after it has gone.</summary>
internal sealed class NotedDirectory(IClientDirectory directory, string file) : IClientDirectory
{
    private const int MaxSize = 1 << 20;

    /// <summary>Name and text; null before the file has come.</summary>
    public (string Name, string Text)? File { get; private set; }

    public async Task<IBuildDirectory> SyncAsync(DirectoryRequest request, CancellationToken cancellationToken)
    {
        IBuildDirectory synced = await directory.SyncAsync(request, cancellationToken);
        if (File is null && await WorkerThread.RunAsync("dockerfile", () => Read(synced.Path)) is { } text)
        {
            File = (file, text);
        }

        return synced;
    }

    private string? Read(string path)
    {
        try
        {
            using RootDirectory root = new HostPath(path).OpenRoot();
            return root.TryReadFile(file, MaxSize) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;
        }
        catch (KernelException)
        {
            // Whether it can be built is the builder's to say.
            return null;
        }
    }
}
