using System.Text.Json;
using Microsoft.Extensions.Logging;
using Slipway.Engine;

namespace Slipway.Server.Auditing;

/// <summary>Where the decisions about requests are recorded.</summary>
/// <param name="Path">Of the file that is written; older ones have a number behind their name.</param>
/// <param name="MaxSize">Bytes of one file.</param>
/// <param name="MaxFiles">Files that are kept, with the one that is written.</param>
/// <param name="Reads">Also operations that only look are recorded where they are allowed.</param>
public sealed record AuditOptions(string Path, long MaxSize = AuditOptions.DefaultMaxSize, int MaxFiles = AuditOptions.DefaultMaxFiles, bool Reads = false)
{
    public const long DefaultMaxSize = 10 * 1024 * 1024;
    public const int DefaultMaxFiles = 5;
}

/// <summary>The audit log: lines of JSON in a file only root can read, bounded and rotated.</summary>
internal sealed partial class AuditLog : IDisposable
{
    private const UnixFileMode FileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode FolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly AuditOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly int? _self;
    private readonly Lock _gate = new();
    private FileStream _file;

    /// <param name="self">A process that is not told of: the server, which sends itself requests when it starts.</param>
    /// <exception cref="EngineException">The file cannot be written.</exception>
    public AuditLog(AuditOptions options, TimeProvider time, ILogger log, int? self = null)
    {
        (_options, _time, _log, _self) = (options, time, log, self);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(options.Path)!, FolderMode);
            _file = Open();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.System, $"audit log: {error.Message}", error);
        }
    }

    /// <returns>False where it could not be recorded.</returns>
    public bool Write(AuditEntry entry)
    {
        if ((entry.Pid is not null && entry.Pid == _self) || (entry.Decision == AuditEntry.Allow && !_options.Reads && Authorization.Verbs.IsReading(entry.Verb)))
        {
            return true;
        }

        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(entry.At(_time.GetUtcNow()), AuditJson.Default.AuditEntry), (byte)'\n'];
        lock (_gate)
        {
            try
            {
                if (_file.Length > 0 && _file.Length + line.Length > _options.MaxSize)
                {
                    Rotate();
                }

                _file.Write(line);
                _file.Flush();
                return true;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                LogFailure(_log, error);
                return false;
            }
        }
    }

    public void Dispose() => _file.Dispose();

    private FileStream Open() => new(_options.Path, new FileStreamOptions
    {
        Mode = System.IO.FileMode.Append,
        Access = FileAccess.Write,
        Share = FileShare.ReadWrite | FileShare.Delete,
        BufferSize = 0,
        UnixCreateMode = FileMode,
    });

    private void Rotate()
    {
        for (int number = _options.MaxFiles - 1; number > 0; number--)
        {
            string older = number == 1 ? _options.Path : $"{_options.Path}.{number - 1}";
            if (File.Exists(older))
            {
                File.Move(older, $"{_options.Path}.{number}", overwrite: true);
            }
        }

        FileStream full = _file;
        if (_options.MaxFiles == 1)
        {
            File.Delete(_options.Path);
        }

        _file = Open();
        full.Dispose();
    }

    [LoggerMessage(20, LogLevel.Error, "the audit log cannot be written")]
    private static partial void LogFailure(ILogger log, Exception error);
}
