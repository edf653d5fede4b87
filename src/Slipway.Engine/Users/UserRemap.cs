using System.Globalization;
using Slipway.Kernel.Users;

namespace Slipway.Engine.Users;

/// <summary>
/// What <c>userns-remap</c> says: the user and the group of the host whose subordinate ids the containers' users are. Docker's forms: <c>default</c>,
/// <c>user</c>, <c>user:group</c>, each by name or number.
/// </summary>
internal static class UserRemap
{
    private const string Default = "default";

    /// <summary>Docker's user for <see cref="Default"/>, so that a host that has it keeps its ids.</summary>
    private const string DefaultUser = "dockremap";

    /// <param name="setting">Empty: no remapping.</param>
    /// <param name="folder">Where passwd, group, subuid and subgid lie.</param>
    /// <returns>Null: containers have the host's ids.</returns>
    /// <exception cref="EngineException">InvalidParameter: no such user, no ids for it, or a file that cannot be read.</exception>
    public static IdMaps? Resolve(string setting, string folder)
    {
        if (setting.Length == 0)
        {
            return null;
        }

        string[] parts = setting.Split(':');
        if (parts.Length > 2 || parts.Contains(""))
        {
            throw Invalid($"Invalid user/group specification in --userns-remap: \"{setting}\"");
        }

        try
        {
            if (parts[0] == Default)
            {
                AddDefault(folder);
                parts = [DefaultUser];
            }

            // The default user needs no account: nobody logs in as it, its name only names the ids.
            (string name, string id) = Account(folder, "passwd", "user", parts[0]);
            (string group, string groupId) = parts.Length == 2 ? Account(folder, "group", "group", parts[1]) : (name, id);
            return name == "root"
                ? throw Invalid("userns-remap: root cannot be remapped with itself")
                : new IdMaps(
                    SubordinateIds.Find(Read($"{folder}/subuid"), name, id) ?? throw Invalid($"no subuid ranges found for user \"{name}\""),
                    SubordinateIds.Find(Read($"{folder}/subgid"), group, groupId) ?? throw Invalid($"no subgid ranges found for group \"{group}\""));
        }
        catch (Exception error) when (error is FormatException or OverflowException or IOException or UnauthorizedAccessException)
        {
            throw Invalid($"userns-remap: {error.Message}");
        }
    }

    /// <summary>An account by name or number: both.</summary>
    private static (string Name, string Id) Account(string folder, string file, string kind, string wanted)
    {
        bool isNumber = uint.TryParse(wanted, NumberStyles.None, CultureInfo.InvariantCulture, out _);
        foreach (string line in Read($"{folder}/{file}").Split('\n'))
        {
            string[] fields = line.Split(':');
            if (fields.Length > 2 && fields[isNumber ? 2 : 0] == wanted)
            {
                return (fields[0], fields[2]);
            }
        }

        return wanted == DefaultUser ? (DefaultUser, DefaultUser)
            : throw Invalid(isNumber ? $"{kind} id {wanted} has no entry in {folder}/{file}" : $"{kind} lookup for \"{wanted}\": no such {kind}");
    }

    private static void AddDefault(string folder)
    {
        foreach (string path in (ReadOnlySpan<string>)[$"{folder}/subuid", $"{folder}/subgid"])
        {
            string text = Read(path);
            if (SubordinateIds.Find(text, DefaultUser) is null)
            {
                // Replaced as a whole: others read these files at any time.
                string replacement = $"{path}.slipway";
                File.WriteAllText(replacement, SubordinateIds.Add(text, DefaultUser));
                File.SetUnixFileMode(replacement, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
                File.Move(replacement, path, overwrite: true);
            }
        }
    }

    private static string Read(string path) => File.Exists(path) ? File.ReadAllText(path) : "";

    private static EngineException Invalid(string message) => new(ErrorKind.InvalidParameter, message);
}
