using System.Globalization;
using Slipway.Api.Containers;

namespace Slipway.Engine.Containers.Top;

/// <summary>The table of <c>ps -ef</c> for given processes, read from /proc (proc_pid_stat(5)).</summary>
internal sealed class ProcessTable(TimeProvider time)
{
    private const int TicksPerSecond = 100;

    // Fields of /proc/pid/stat after the command, counted from 0 (field 3 of the manual page).
    private const int ParentField = 1;
    private const int TerminalField = 4;
    private const int UserTimeField = 11;
    private const int SystemTimeField = 12;
    private const int StartTimeField = 19;

    private readonly Dictionary<uint, string> _users = ReadUsers();
    private readonly DateTimeOffset _boot = time.GetUtcNow() - Uptime();

    public ContainerTop Read(IEnumerable<int> pids)
    {
        List<List<string>> rows = [];
        foreach (int pid in pids.Order())
        {
            if (Row(pid) is { } row)
            {
                rows.Add(row);
            }
        }

        return new ContainerTop(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], rows);
    }

    /// <summary>Null for a process that ended meanwhile.</summary>
    private List<string>? Row(int pid)
    {
        string stat;
        string commandLine;
        uint uid;
        try
        {
            stat = File.ReadAllText($"/proc/{pid}/stat");
            commandLine = File.ReadAllText($"/proc/{pid}/cmdline").TrimEnd('\0').Replace('\0', ' ');
            uid = EffectiveUser(File.ReadLines($"/proc/{pid}/status"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        // The command stands in parentheses and may hold any character.
        int end = stat.LastIndexOf(')');
        string name = stat[(stat.IndexOf('(', StringComparison.Ordinal) + 1)..end];
        string[] fields = stat[(end + 2)..].Split(' ');
        double used = (Number(UserTimeField) + Number(SystemTimeField)) / (double)TicksPerSecond;
        DateTimeOffset started = _boot + TimeSpan.FromSeconds(Number(StartTimeField) / (double)TicksPerSecond);
        DateTimeOffset now = time.GetUtcNow();
        double lived = Math.Max((now - started).TotalSeconds, 1);
        DateTime local = started.ToLocalTime().DateTime;
        return
        [
            _users.GetValueOrDefault(uid, uid.ToString(CultureInfo.InvariantCulture)),
            pid.ToString(CultureInfo.InvariantCulture),
            fields[ParentField],
            Math.Min((int)(used * 100 / lived), 99).ToString(CultureInfo.InvariantCulture),
            (now - started).TotalHours < 24 ? local.ToString("HH:mm", CultureInfo.InvariantCulture) : local.ToString("MMMdd", CultureInfo.InvariantCulture),
            Terminal((uint)Number(TerminalField)),
            TimeSpan.FromSeconds((long)used).ToString("hh':'mm':'ss", CultureInfo.InvariantCulture),
            commandLine.Length > 0 ? commandLine : $"[{name}]",
        ];

        long Number(int field) => long.Parse(fields[field], CultureInfo.InvariantCulture);
    }

    /// <summary>The controlling terminal's name from its device number: major 136 and up are pseudo-terminals (devices.txt).</summary>
    private static string Terminal(uint device)
    {
        uint major = (device >> 8) & 0xfff;
        uint minor = (device & 0xff) | ((device >> 12) & 0xfff00);
        return device == 0 ? "?" : major is >= 136 and < 144 ? $"pts/{minor}" : major == 4 ? $"tty{minor}" : "?";
    }

    private static uint EffectiveUser(IEnumerable<string> status) =>
        status.FirstOrDefault(line => line.StartsWith("Uid:", StringComparison.Ordinal))?.Split('\t') is [_, _, string effective, ..]
            ? uint.Parse(effective, CultureInfo.InvariantCulture)
            : 0;

    /// <summary>The host's users, as ps names them.</summary>
    private static Dictionary<uint, string> ReadUsers()
    {
        Dictionary<uint, string> users = [];
        foreach (string line in File.Exists("/etc/passwd") ? File.ReadLines("/etc/passwd") : [])
        {
            if (line.Split(':') is [string name, _, string id, ..] && uint.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out uint uid))
            {
                users.TryAdd(uid, name);
            }
        }

        return users;
    }

    private static TimeSpan Uptime() => TimeSpan.FromSeconds(double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture));
}
