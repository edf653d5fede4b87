using System.Globalization;
using System.Text;
using Slipway.Kernel;
using Slipway.Kernel.Files;

namespace Slipway.Runtime.Compilation;

/// <summary>Who a process runs as.</summary>
/// <param name="AdditionalGids">The primary group first, as Docker gives them.</param>
/// <param name="Home">For HOME: <c>/</c> where /etc/passwd has no such user.</param>
public sealed record ResolvedUser(uint Uid, uint Gid, IReadOnlyList<uint> AdditionalGids, string Home);

/// <summary>
/// Reads an image's /etc/passwd and /etc/group, as hostile input: inside the root only, regular files only, of bounded size. Numbers are 0 to
/// 2³¹−1; anything larger would wrap around to another user somewhere (CVE-2024-40635).
/// </summary>
public static class UserLookup
{
    /// <summary>Bytes of /etc/passwd or /etc/group that are read; a larger file is an error (CVE-2026-47262).</summary>
    public const int MaximumFileSize = 4 << 20;

    /// <summary>Finds a user by <c>user</c>, <c>uid</c>, <c>user:group</c>, <c>uid:gid</c> and mixtures; empty is user 0.</summary>
    /// <param name="additionalGroups">Names or numbers (docker run --group-add).</param>
    /// <exception cref="PlanException">There is no such user or group, a number is out of range, or a file is too large.</exception>
    public static ResolvedUser Resolve(RootDirectory rootfs, string user, IReadOnlyList<string> additionalGroups)
    {
        int colon = user.IndexOf(':', StringComparison.Ordinal);
        string name = colon < 0 ? user : user[..colon];
        string group = colon < 0 ? "" : user[(colon + 1)..];

        string[]? entry = FindUser(rootfs, name);
        uint uid = entry is null ? UnknownUser(name) : Id(entry[2]);
        uint gid = entry is null ? 0 : Id(entry[3]);
        string home = entry is null || entry[5].Length == 0 ? "/" : entry[5];
        List<uint> additional = [];

        if (group.Length > 0 || entry is not null || additionalGroups.Count > 0)
        {
            List<string[]> groups = Read(rootfs, "/etc/group", fields: 4);
            if (group.Length > 0)
            {
                gid = FindGroup(groups, group) ?? throw PlanException.Invalid($"unable to find group {group}: no matching entries in group file");
            }
            else if (entry is not null)
            {
                additional.AddRange(groups.Where(g => g[3].Split(',').Contains(entry[0])).Select(g => Id(g[2])));
            }

            foreach (string wanted in additionalGroups)
            {
                additional.Add(FindGroup(groups, wanted) ?? throw PlanException.Invalid($"Unable to find group {wanted}: no matching entries in group file"));
            }
        }

        return new ResolvedUser(uid, gid, [.. additional.Prepend(gid).Distinct()], home);
    }

    /// <summary>A name wins over a number, as in shadow's tools: a user may be called 1000.</summary>
    private static string[]? FindUser(RootDirectory rootfs, string name)
    {
        List<string[]> users = Read(rootfs, "/etc/passwd", fields: 7);
        string number = name.Length == 0 ? "0" : name;
        return users.Find(u => name.Length > 0 && u[0] == name) ?? users.Find(u => SameNumber(u[2], number));
    }

    private static bool SameNumber(string field, string number) =>
        uint.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out uint left)
        && uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out uint right)
        && left == right;

    private static uint UnknownUser(string name)
    {
        if (name.Length == 0)
        {
            return 0;
        }

        return IsNumber(name) ? Id(name) : throw PlanException.Invalid($"unable to find user {name}: no matching entries in passwd file");
    }

    private static uint? FindGroup(List<string[]> groups, string wanted)
    {
        string[]? entry = groups.Find(g => g[0] == wanted) ?? groups.Find(g => SameNumber(g[2], wanted));
        return entry is not null ? Id(entry[2]) : IsNumber(wanted) ? Id(wanted) : null;
    }

    private static bool IsNumber(string text) => text.TrimStart('-') is { Length: > 0 } digits && digits.All(char.IsAsciiDigit);

    private static uint Id(string text) =>
        uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint id) && id <= int.MaxValue
            ? id
            : throw PlanException.Invalid("uids and gids must be in range 0-2147483647");

    /// <summary>The lines that have all fields and a number that is one; others are skipped, as by the C library.</summary>
    private static List<string[]> Read(RootDirectory rootfs, string path, int fields)
    {
        byte[]? content;
        try
        {
            content = rootfs.TryReadFile(path, MaximumFileSize);
        }
        catch (KernelException e)
        {
            throw PlanException.Invalid(e.Errno == Errno.EFBIG ? $"{path} of the image is larger than {MaximumFileSize} bytes" : $"{path} of the image: {e.Message}", e);
        }

        List<string[]> entries = [];
        foreach (ReadOnlySpan<char> line in Encoding.UTF8.GetString(content ?? []).AsSpan().EnumerateLines())
        {
            if (line.IsEmpty || line[0] == '#')
            {
                continue;
            }

            string[] parts = line.ToString().Split(':');
            if (parts.Length >= fields && IsNumber(parts[2]))
            {
                entries.Add(parts);
            }
        }

        return entries;
    }
}
