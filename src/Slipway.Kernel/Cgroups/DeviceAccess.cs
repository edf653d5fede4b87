using System.Globalization;

namespace Slipway.Kernel.Cgroups;

/// <summary>What may be done with a device node (devices.rst).</summary>
[Flags]
public enum DevicePermissions : byte
{
    None = 0,

    /// <summary>mknod(2): <c>m</c>.</summary>
    Make = 1,

    /// <summary><c>r</c>.</summary>
    Read = 2,

    /// <summary><c>w</c>.</summary>
    Write = 4,

    All = Make | Read | Write,
}

/// <summary>The kind of a device node.</summary>
public enum DeviceKind
{
    Any,
    Block,
    Character,
}

/// <param name="Kind">Any: the rule is for all devices, whatever its numbers (as cgroup v1's <c>a</c>).</param>
/// <param name="Major">Null: any.</param>
/// <param name="Minor">Null: any.</param>
public readonly record struct DeviceRule(bool Allow, DeviceKind Kind, uint? Major, uint? Minor, DevicePermissions Permissions);

/// <summary>
/// Rules in the form in which the cgroup v1 devices controller keeps them (security/device_cgroup.c): a default, and exceptions
/// from it. An access to a denied device needs one exception with all its permissions; one to an allowed device is refused
/// by an exception with any of them. The v2 program is made from the same form, so that both behave alike.
/// </summary>
public sealed class DeviceAccess
{
    private readonly Dictionary<(DeviceKind Kind, uint? Major, uint? Minor), DevicePermissions> _exceptions = [];

    /// <param name="rules">In order; the state before the first is that everything is allowed.</param>
    /// <exception cref="ArgumentException">A rule takes away part of what a wider one gave, which cgroup v1 cannot express.</exception>
    public DeviceAccess(IEnumerable<DeviceRule> rules)
    {
        foreach (DeviceRule rule in rules)
        {
            Add(rule);
        }
    }

    /// <summary>What holds for devices without an exception.</summary>
    public bool AllowedByDefault { get; private set; } = true;

    /// <summary>Exceptions, in a stable order.</summary>
    public IReadOnlyList<DeviceRule> Exceptions =>
        [.. _exceptions.Select(pair => new DeviceRule(!AllowedByDefault, pair.Key.Kind, pair.Key.Major, pair.Key.Minor, pair.Value))
            .OrderBy(rule => rule.Kind).ThenBy(rule => rule.Major).ThenBy(rule => rule.Minor)];

    /// <summary>The writes to <c>devices.allow</c> and <c>devices.deny</c> that lead from what <c>devices.list</c> says to these rules, with no moment of more access than either.</summary>
    internal IEnumerable<CgroupSetting> ChangesFrom(string list)
    {
        DeviceAccess current = Parse(list);
        if (AllowedByDefault || current.AllowedByDefault)
        {
            // The kernel does not show the exceptions of a group that allows by default, so that starts afresh.
            if (!AllowedByDefault || current.AllowedByDefault != AllowedByDefault || _exceptions.Count > 0)
            {
                yield return new CgroupSetting(AllowedByDefault ? "devices.allow" : "devices.deny", "a");
            }

            current._exceptions.Clear();
        }

        foreach (DeviceRule rule in current.Exceptions)
        {
            DevicePermissions surplus = rule.Permissions & ~_exceptions.GetValueOrDefault((rule.Kind, rule.Major, rule.Minor));
            if (surplus != 0)
            {
                yield return new CgroupSetting("devices.deny", Format(rule with { Permissions = surplus }));
            }
        }

        foreach (DeviceRule rule in Exceptions)
        {
            DevicePermissions missing = rule.Permissions & ~current._exceptions.GetValueOrDefault((rule.Kind, rule.Major, rule.Minor));
            if (missing != 0)
            {
                yield return new CgroupSetting(AllowedByDefault ? "devices.deny" : "devices.allow", Format(rule with { Permissions = missing }));
            }
        }
    }

    private static DeviceAccess Parse(string list)
    {
        // "a *:* rwm" alone means that everything is allowed; else lines such as "c 1:3 rwm".
        List<DeviceRule> rules = [];
        foreach (string line in list.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith('a'))
            {
                return new DeviceAccess([]);
            }

            string[] fields = line.Split(' ', ':');
            rules.Add(new DeviceRule(true, fields[0] == "b" ? DeviceKind.Block : DeviceKind.Character, Number(fields[1]), Number(fields[2]), Permissions(fields[3])));
        }

        return new DeviceAccess([new DeviceRule(false, DeviceKind.Any, null, null, DevicePermissions.All), .. rules]);

        static uint? Number(string field) => field == "*" ? null : uint.Parse(field, CultureInfo.InvariantCulture);
    }

    /// <summary><c>rwm</c> in any order, to flags; other letters are ignored.</summary>
    public static DevicePermissions Permissions(string letters) =>
        (letters.Contains('r', StringComparison.Ordinal) ? DevicePermissions.Read : 0)
        | (letters.Contains('w', StringComparison.Ordinal) ? DevicePermissions.Write : 0)
        | (letters.Contains('m', StringComparison.Ordinal) ? DevicePermissions.Make : 0);

    private static string Format(DeviceRule rule) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(rule.Kind == DeviceKind.Block ? 'b' : 'c')} {Number(rule.Major)}:{Number(rule.Minor)} {(rule.Permissions.HasFlag(DevicePermissions.Read) ? "r" : "")}{(rule.Permissions.HasFlag(DevicePermissions.Write) ? "w" : "")}{(rule.Permissions.HasFlag(DevicePermissions.Make) ? "m" : "")}");

    private static string Number(uint? number) => number?.ToString(CultureInfo.InvariantCulture) ?? "*";

    private void Add(DeviceRule rule)
    {
        if (rule.Kind == DeviceKind.Any)
        {
            AllowedByDefault = rule.Allow;
            _exceptions.Clear();
            return;
        }

        (DeviceKind Kind, uint? Major, uint? Minor) key = (rule.Kind, rule.Major, rule.Minor);
        DevicePermissions present = _exceptions.GetValueOrDefault(key);
        if (rule.Allow != AllowedByDefault)
        {
            _exceptions[key] = present | rule.Permissions;
            return;
        }

        DevicePermissions rest = present & ~rule.Permissions;
        if (rest == 0)
        {
            _exceptions.Remove(key);
        }
        else
        {
            _exceptions[key] = rest;
        }

        foreach (((DeviceKind kind, uint? major, uint? minor), DevicePermissions permissions) in _exceptions)
        {
            bool overlaps = kind == rule.Kind && (major is null || rule.Major is null || major == rule.Major) && (minor is null || rule.Minor is null || minor == rule.Minor);
            if (overlaps && (permissions & rule.Permissions) != 0)
            {
                throw new ArgumentException($"device rule \"{(rule.Allow ? "allow" : "deny")} {Format(rule)}\" contradicts part of an earlier rule for other numbers", nameof(rule));
            }
        }
    }
}
