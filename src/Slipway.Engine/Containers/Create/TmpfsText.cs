using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Create;

/// <summary>Reads the options of <c>--tmpfs</c> and of <c>--mount type=tmpfs</c>.</summary>
internal static class TmpfsText
{
    private static readonly HashSet<string> s_flags = new(StringComparer.Ordinal)
    {
        "ro", "rw", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "strictatime", "sync", "async", "dirsync", "mand", "nomand",
    };

    private static readonly HashSet<string> s_settings = new(StringComparer.Ordinal) { "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge" };

    /// <exception cref="EngineException">InvalidParameter: an option that the kernel would not know.</exception>
    public static ContainerMount Mount(string destination, IReadOnlyList<string> options)
    {
        List<string> merged = ["nosuid", "nodev", "noexec"];
        foreach (string option in options)
        {
            string opposite = option switch { "suid" => "nosuid", "dev" => "nodev", "exec" => "noexec", _ => "" };
            merged.Remove(opposite);
            if (opposite.Length == 0)
            {
                merged.Add(IsKnown(option) ? option : throw ContainerErrors.Invalid($"invalid tmpfs option \"{option}\""));
            }
        }

        return new ContainerMount("tmpfs", "", destination, merged, "", options.Contains("ro"), "");
    }

    public static IReadOnlyList<string> Words(Mount mount)
    {
        List<string> words = [.. (mount.TmpfsOptions?.Options ?? []).Select(pair => string.Join('=', pair))];
        if (mount.ReadOnly)
        {
            words.Add("ro");
        }

        if (mount.TmpfsOptions is { SizeBytes: > 0 } sized)
        {
            words.Add($"size={sized.SizeBytes}");
        }

        if (mount.TmpfsOptions is { Mode: > 0 } moded)
        {
            words.Add($"mode={Convert.ToString(moded.Mode, 8)}");
        }

        return words;
    }

    private static bool IsKnown(string option) =>
        s_flags.Contains(option)
        || MountPaths.IsPropagation(option)
        || (option.IndexOf('=', StringComparison.Ordinal) is > 0 and int equals && s_settings.Contains(option[..equals]));
}
