using Slipway.Kernel;

namespace Slipway.Runtime.Logs;

/// <summary>Compresses rotated files one after the other, on a thread that lasts as long as there are any: writers do not wait for it.</summary>
internal sealed class LogCompressor
{
    private readonly Queue<LogFileSet> _waiting = new();
    private bool _running;

    /// <summary>The newest of the rotated files of a log, which may be another one when its turn comes: then older ones stay as they are.</summary>
    public void Compress(LogFileSet files)
    {
        lock (_waiting)
        {
            _waiting.Enqueue(files);
            if (_running)
            {
                return;
            }

            _running = true;
        }

        new Thread(Run) { Name = "log compressor", IsBackground = true }.Start();
    }

    private void Run()
    {
        while (Next() is { } files)
        {
            try
            {
                files.Compress();
            }
            catch (Exception exception) when (exception is IOException or KernelException or UnauthorizedAccessException)
            {
                // The file stays as it is, and is read as it is: nothing is lost but the space.
            }
        }
    }

    private LogFileSet? Next()
    {
        lock (_waiting)
        {
            if (_waiting.TryDequeue(out LogFileSet? files))
            {
                return files;
            }

            _running = false;
            return null;
        }
    }
}
