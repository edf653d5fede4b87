using System.Globalization;
using Slipway.Kernel.Users;
using Slipway.Oci.Runtime;

namespace Slipway.Engine.Containers.Create;

/// <summary>
/// The option <c>idmap</c> of a bind: whom files belong to in the container. Alone: what is root's on disk is the container's root's, in a container with a
/// user namespace. <c>idmap=uids=DISK-CONTAINER-COUNT;gids=DISK-CONTAINER-COUNT</c>, with further ranges behind <c>#</c>: ids from DISK on show as those
/// from CONTAINER on; whichever of the two is missing is as the other.
/// </summary>
internal static class IdMapText
{
    private const string Word = "idmap";

    public static bool IsOption(string word) => word == Word || word.StartsWith(Word + "=", StringComparison.Ordinal);

    /// <summary>The ids of an option word, checked; empty where it names none.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static string Ids(string word)
    {
        string ids = word.Length > Word.Length ? word[(Word.Length + 1)..] : "";
        if (ids.Length > 0)
        {
            _ = Parse(ids);
        }
        else if (word != Word)
        {
            throw Invalid(word);
        }

        return ids;
    }

    /// <summary>The ranges for the runtime, which counts as the host does.</summary>
    /// <param name="users">The ids of the container's user namespace; null: the host's own.</param>
    /// <exception cref="EngineException">InvalidParameter: the container has no such ids.</exception>
    public static (IReadOnlyList<IdMappingSpec> Users, IReadOnlyList<IdMappingSpec> Groups) Mappings(string ids, IdMaps? users)
    {
        IdMaps maps = Parse(ids);
        return (Outside(maps.Users, users?.Users), Outside(maps.Groups, users?.Groups));

        static IReadOnlyList<IdMappingSpec> Outside(IdMap map, IdMap? container) => [.. map.Ranges.Select(range => new IdMappingSpec(range.Inside, First(range, container), range.Count))];
    }

    private static uint First(IdRange range, IdMap? container)
    {
        if (container is null)
        {
            return range.Outside;
        }

        uint? first = container.Outside(range.Outside);
        uint? last = container.Outside(range.Outside + range.Count - 1);
        return first is uint id && last == id + range.Count - 1
            ? id
            : throw ContainerErrors.Invalid($"idmap: ids {range.Outside} to {range.Outside + range.Count - 1} are not together in the container's user namespace");
    }

    private static IdMaps Parse(string text)
    {
        IdMap? users = null, groups = null;
        foreach (string part in text.Split(';'))
        {
            if (part.StartsWith("uids=", StringComparison.Ordinal) && users is null)
            {
                users = Ranges(part[5..], text);
            }
            else if (part.StartsWith("gids=", StringComparison.Ordinal) && groups is null)
            {
                groups = Ranges(part[5..], text);
            }
            else
            {
                throw Invalid(text);
            }
        }

        return new IdMaps(users ?? groups!, groups ?? users!);
    }

    private static IdMap Ranges(string text, string whole)
    {
        List<IdRange> ranges = [];
        foreach (string range in text.Split('#'))
        {
            string[] fields = range.Split('-');
            ranges.Add(fields.Length == 3 ? new IdRange(Number(fields[0]), Number(fields[1]), Number(fields[2])) : throw Invalid(whole));
        }

        try
        {
            return new IdMap(ranges);
        }
        catch (ArgumentException error)
        {
            throw ContainerErrors.Invalid($"idmap: {error.Message}");
        }

        uint Number(string number) => uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out uint id) ? id : throw Invalid(whole);
    }

    private static EngineException Invalid(string text) =>
        ContainerErrors.Invalid($"invalid idmap \"{text}\": it is uids=DISK-CONTAINER-COUNT;gids=DISK-CONTAINER-COUNT, with further ranges behind #");
}
