using System.Globalization;

namespace Slipway.Server.Transport;

/// <summary>The host's own /etc/group (group(5)); files of images are read elsewhere, with more suspicion.</summary>
internal static class HostGroups
{
    private const string GroupFile = "/etc/group";

    /// <summary>The id of the first of <paramref name="names"/> that exists, or null.</summary>
    public static uint? FirstId(IReadOnlyList<string> names) =>
        File.Exists(GroupFile) ? FirstId(names, File.ReadLines(GroupFile)) : null;

    internal static uint? FirstId(IReadOnlyList<string> names, IEnumerable<string> lines)
    {
        Dictionary<string, uint> ids = new(StringComparer.Ordinal);
        foreach (string line in lines)
        {
            string[] fields = line.Split(':');
            if (fields.Length >= 3 && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint id))
            {
                ids.TryAdd(fields[0], id);
            }
        }

        return names.Where(ids.ContainsKey).Select(name => (uint?)ids[name]).FirstOrDefault();
    }
}
