using Slipway.Kernel.Security;
using Slipway.Oci.Runtime;

namespace Slipway.Runtime.Confinement;

/// <summary>Which capabilities a container gets.</summary>
public static class CapabilityPolicy
{
    private const string All = "ALL";
    private const string Prefix = "CAP_";

    /// <summary>Docker's default set.</summary>
    public static IReadOnlyList<string> Default { get; } =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ];

    /// <summary>What <c>--privileged</c> and <c>ALL</c> give: every capability the engine has itself. More it could not pass on.</summary>
    public static IReadOnlyList<string> Privileged => Available;

    private static IReadOnlyList<string> Available { get; } = Capability.OfMask(Capability.Own.Permitted & Capability.Own.Bounding);

    /// <summary>Names in their full form: upper case, with <c>CAP_</c>; <c>ALL</c> stays.</summary>
    /// <exception cref="ConfinementException">A name is unknown, or the engine does not have the capability.</exception>
    public static IReadOnlyList<string> Normalize(IEnumerable<string> names) => Normalize(names, Available);

    /// <summary>Checks the values of <c>--cap-add</c> and <c>--cap-drop</c> when a container is created.</summary>
    /// <exception cref="ConfinementException">With Docker's text: <c>invalid CapAdd: unknown capability: "CAP_X"</c>.</exception>
    public static void Validate(IEnumerable<string> add, IEnumerable<string> drop)
    {
        Check("CapAdd", add);
        Check("CapDrop", drop);

        static void Check(string field, IEnumerable<string> names)
        {
            try
            {
                Normalize(names);
            }
            catch (ConfinementException exception)
            {
                throw new ConfinementException($"invalid {field}: {exception.Message}", exception);
            }
        }
    }

    /// <summary>The bounding, permitted and effective set of a container's first process.</summary>
    /// <param name="add"><c>--cap-add</c>.</param>
    /// <param name="drop"><c>--cap-drop</c>.</param>
    /// <exception cref="ConfinementException">As <see cref="Normalize(IEnumerable{string})"/>.</exception>
    public static IReadOnlyList<string> Resolve(IReadOnlyCollection<string> add, IReadOnlyCollection<string> drop, bool privileged) =>
        Resolve(add, drop, privileged, Available);

    internal static IReadOnlyList<string> Resolve(IReadOnlyCollection<string> add, IReadOnlyCollection<string> drop, bool privileged, IReadOnlyList<string> available)
    {
        if (privileged)
        {
            return available;
        }

        if (add.Count == 0 && drop.Count == 0)
        {
            return Default;
        }

        IReadOnlyList<string> dropped = Normalize(drop, available);
        IReadOnlyList<string> added = Normalize(add, available);
        return added.Contains(All) ? [.. available.Except(dropped)]
            : dropped.Contains(All) ? [.. added.Distinct()]
            : [.. Default.Except(dropped).Union(added)];
    }

    /// <summary>
    /// The sets of a process (config.md, "Linux Process"). Inheritable and ambient stay empty: a program without file
    /// capabilities would otherwise keep them over a change of user (CVE-2022-24769).
    /// </summary>
    /// <param name="root">Whether it starts as uid 0; any other user has nothing but the bounding set, until it executes a file with capabilities.</param>
    public static CapabilitySets Sets(IReadOnlyList<string> capabilities, bool root) => new()
    {
        Bounding = capabilities,
        Permitted = root ? capabilities : [],
        Effective = root ? capabilities : [],
    };

    internal static IReadOnlyList<string> Normalize(IEnumerable<string> names, IReadOnlyList<string> available)
    {
        List<string> normalized = [];
        foreach (string name in names)
        {
            string upper = name.ToUpperInvariant();
            if (upper == All)
            {
                normalized.Add(upper);
                continue;
            }

            string full = upper.StartsWith(Prefix, StringComparison.Ordinal) ? upper : Prefix + upper;
            if (!Capability.TryGetNumber(full, out _))
            {
                throw new ConfinementException($"unknown capability: \"{full}\"");
            }

            normalized.Add(available.Contains(full)
                ? full
                : throw new ConfinementException($"capability not supported by your kernel or not available in the current environment: \"{full}\""));
        }

        return normalized;
    }
}
