using Slipway.Kernel.Security;

namespace Slipway.Registry.Server.Access;

/// <summary>Users and their bcrypt hashes (Apache's htpasswd format). Read again when the file has changed.</summary>
internal sealed class UserFile
{
    private static readonly TimeSpan s_recheck = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private volatile IReadOnlyDictionary<string, string> _hashes;
    private DateTime _written;
    private long _checked;

    /// <exception cref="RegistryConfigurationException">It cannot be read, or has a line that is no user with a bcrypt hash.</exception>
    public UserFile(string path, TimeProvider time)
    {
        (_path, _time) = (path, time);
        _written = File.GetLastWriteTimeUtc(path);
        _checked = time.GetTimestamp();
        _hashes = Read(path);
    }

    /// <summary>Somebody's hash; empty where there are no users.</summary>
    public string AnyHash => _hashes.Values.FirstOrDefault("");

    /// <returns>Null for a user that does not exist.</returns>
    /// <exception cref="RegistryConfigurationException">The file was changed to something that is not valid: nobody is let in.</exception>
    public string? FindHash(string user)
    {
        lock (_gate)
        {
            if (_time.GetElapsedTime(_checked) > s_recheck)
            {
                _checked = _time.GetTimestamp();
                DateTime written = File.GetLastWriteTimeUtc(_path);
                if (written != _written)
                {
                    _hashes = Read(_path);
                    _written = written;
                }
            }
        }

        return _hashes.GetValueOrDefault(user);
    }

    private static Dictionary<string, string> Read(string path)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RegistryConfigurationException($"users: {e.Message}", e);
        }

        Dictionary<string, string> hashes = new(StringComparer.Ordinal);
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || line[0] == '$' || !PasswordHash.IsBcrypt(line[(colon + 1)..]))
            {
                throw new RegistryConfigurationException($"{path}, line {i + 1}: no user with a bcrypt hash; make one with htpasswd -B");
            }

            hashes[line[..colon]] = line[(colon + 1)..];
        }

        return hashes;
    }
}
