using Slipway.Tests.Harness;

namespace Slipway.Tests.Differential;

/// <summary>A case of the script: what it is about, and shell commands that are run one after another in a folder of its own.</summary>
public sealed record Case(string Topic, string Name, IReadOnlyList<string> Commands)
{
    public override string ToString() => $"{Topic}: {Name}";
}

/// <summary>
/// The script that both engines run: <c>script/*.txt</c>, a file a topic. A line <c>== NAME</c> begins a case, every other line is one command,
/// <c>#</c> begins a comment. No name is hexadecimal digits alone: to dockerd that may be the beginning of an id. A case finds no container and no volume, and what it leaves is removed.
/// </summary>
public static class Script
{
    public static string Folder { get; } = Path.Combine(Repository.Root, "tests", "Differential");

    public static IReadOnlyList<Case> Cases { get; } =
        [.. Directory.EnumerateFiles(Path.Combine(Folder, "script"), "*.txt").Order(StringComparer.Ordinal).SelectMany(Read)];

    private static IEnumerable<Case> Read(string path)
    {
        var topic = Path.GetFileNameWithoutExtension(path);
        string? name = null;
        var commands = new List<string>();
        foreach (var line in File.ReadLines(path).Where(line => line.Length > 0 && !line.StartsWith('#')))
        {
            if (!line.StartsWith("== ", StringComparison.Ordinal))
            {
                commands.Add(line);
                continue;
            }
            if (name is not null)
            {
                yield return new Case(topic, name, [.. commands]);
            }
            name = line[3..];
            commands.Clear();
        }
        if (name is not null)
        {
            yield return new Case(topic, name, [.. commands]);
        }
    }
}
