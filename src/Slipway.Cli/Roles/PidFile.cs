using System.Globalization;

namespace Slipway.Cli.Roles;

/// <summary>The daemon's pid file: written when it starts, removed when it ends in order.</summary>
internal sealed class PidFile : IDisposable
{
    private readonly string _path;

    private PidFile(string path) => _path = path;

    /// <exception cref="CommandException">A daemon that lives has written it.</exception>
    public static PidFile Claim(string path)
    {
        try
        {
            if (File.Exists(path) && int.TryParse(File.ReadAllText(path), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                && pid != Environment.ProcessId && IsDaemon(pid))
            {
                throw new CommandException($"process with PID {pid} is still running: remove {path} if it is no engine", 1);
            }

            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            File.WriteAllText(path, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return new PidFile(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"pid file {path}: {exception.Message}", 1);
        }
    }

    public void Dispose() => File.Delete(_path);

    /// <summary>Pids are reused: the process must be one of this program, in the role of a daemon.</summary>
    private static bool IsDaemon(int pid)
    {
        try
        {
            string[] arguments = File.ReadAllText($"/proc/{pid}/cmdline").Split('\0');
            return Array.Exists(arguments, argument => argument == "daemon")
                && Array.Exists(arguments, argument => Path.GetFileNameWithoutExtension(argument) == "slipway");
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
    }
}
