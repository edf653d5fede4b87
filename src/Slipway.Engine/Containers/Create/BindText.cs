using Slipway.Engine.Containers.State;
using Slipway.Engine.Volumes;

namespace Slipway.Engine.Containers.Create;

/// <summary>Reads the argument of <c>-v</c>: <c>[source:]destination[:mode]</c>.</summary>
internal static class BindText
{
    /// <param name="volume">Makes the mount of a volume: name, destination, mode.</param>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static ContainerMount Parse(string text, Func<string, string, string, ContainerMount> volume)
    {
        string[] parts = text.Split(':');
        (string source, string target, string mode) = parts.Length switch
        {
            1 => ("", parts[0], ""),

            // Two parts are source and destination, or a destination with a mode.
            2 when parts[1].StartsWith('/') || !IsMode(parts[1]) => (parts[0], parts[1], ""),
            2 => ("", parts[0], parts[1]),
            3 => (parts[0], parts[1], parts[2]),
            _ => throw ContainerErrors.Invalid($"invalid volume specification: '{text}'"),
        };
        if (mode.Length > 0 && !IsMode(mode))
        {
            throw ContainerErrors.Invalid($"invalid mode: {mode}");
        }

        bool isBind = source.StartsWith('/');
        string where = $"invalid volume specification: '{text}': invalid mount config for type \"{(isBind ? "bind" : "volume")}\"";
        if (!target.StartsWith('/'))
        {
            throw ContainerErrors.Invalid($"{where}: invalid mount path: '{target}' mount path must be absolute");
        }

        string destination = MountPaths.Destination(target, where);
        string[] words = mode.Split(',', StringSplitOptions.RemoveEmptyEntries);
        string? propagation = words.FirstOrDefault(MountPaths.IsPropagation);
        if (!isBind)
        {
            if (Array.Exists(words, IdMapText.IsOption))
            {
                throw ContainerErrors.Invalid($"{where}: idmap is for binds");
            }

            return propagation is null
                ? volume(source.Length == 0 ? source : VolumeNames.Check(source), destination, mode)
                : throw ContainerErrors.Invalid($"{where}: field BindOptions must not be specified");
        }

        string? idMap = words.FirstOrDefault(IdMapText.IsOption);
        if (words.Contains("nocopy"))
        {
            throw ContainerErrors.Invalid($"{where}: field VolumeOptions must not be specified");
        }

        bool readOnly = words.Contains("ro");
        propagation ??= "rprivate";
        return new ContainerMount(
            "bind", MountPaths.Normalize(source), destination, MountPaths.BindOptions(recursive: true, readOnly, readOnlyBelow: readOnly, propagation), mode, readOnly, propagation,
            CreateSource: true)
        {
            IdMap = idMap is null ? null : IdMapText.Ids(idMap),
        };
    }

    /// <summary>At most one word of each kind, as Docker has it.</summary>
    private static bool IsMode(string text)
    {
        int access = 0, label = 0, propagation = 0, copy = 0, consistency = 0, ids = 0;
        return Array.TrueForAll(text.Split(','), word => word switch
        {
            "ro" or "rw" => access++ == 0,
            "z" or "Z" => label++ == 0,
            "nocopy" => copy++ == 0,
            "consistent" or "cached" or "delegated" or "default" => consistency++ == 0,
            _ when IdMapText.IsOption(word) => ids++ == 0,
            _ => MountPaths.IsPropagation(word) && propagation++ == 0,
        });
    }
}
