using System.Globalization;
using System.Text.RegularExpressions;

namespace Slipway.Tests.Harness;

/// <summary>
/// What an engine and its containers hold on the machine at one moment, as a list of lines: to be equal before and after.
/// Only what belongs to this engine is counted, since others may run beside it. Numbers in names are left out: an engine may keep some
/// network namespaces ready beforehand, and they are other ones each time.
/// </summary>
public sealed partial record Footprint(IReadOnlyList<string> Held, IReadOnlyList<string> EngineDescriptors, IReadOnlyList<string> SupervisorDescriptors)
{
    /// <summary>Descriptors an idle engine may have opened and kept besides: connections of the pool, database, timers.</summary>
    private const int EngineSlack = 16;
    private const int SupervisorSlack = 4;

    /// <summary>What a sandbox that is ready has.</summary>
    private const string Link = "link veth#";
    private const string NetworkNamespace = "namespace held open net:#";

    private static readonly HashSet<string> s_ofTheHost =
        [.. Directory.EnumerateFileSystemEntries("/proc/self/ns").Select(link => new FileInfo(link).LinkTarget).OfType<string>()];

    /// <summary>Takes the footprint as soon as nothing changes any more: teardown of the last container may still be under way.</summary>
    public static async Task<Footprint> Settled(Engine engine)
    {
        var last = await Take(engine);
        for (var i = 0; i < 20; i++)
        {
            await Task.Delay(250, TestContext.Current.CancellationToken);
            var next = await Take(engine);
            if (next.Held.SequenceEqual(last.Held) && next.EngineDescriptors.Count == last.EngineDescriptors.Count && next.SupervisorDescriptors.Count == last.SupervisorDescriptors.Count)
            {
                return next;
            }
            last = next;
        }
        return last;
    }

    /// <summary>As <see cref="Settled(Engine)"/>, after a burst: what was made ready for the next one is kept for a while (<c>spare-retention</c>), and so are hosts of launches.</summary>
    public static async Task<Footprint> Settled(Engine engine, Footprint before)
    {
        var last = await Settled(engine);
        for (var i = 0; i < 180 && !last.HoldsAsMuchAs(before); i++)
        {
            await Task.Delay(500, TestContext.Current.CancellationToken);
            last = await Take(engine);
        }
        return last;
    }

    /// <summary>The same, but for sandboxes that are kept ready: a start that found none in the pool makes it larger for a while, also that of the test's own containers just before.</summary>
    private bool HoldsAsMuchAs(Footprint before)
    {
        List<string> less = [.. before.Held];
        return Held.All(less.Remove) && less.All(line => line is Link or NetworkNamespace);
    }

    private static async Task<Footprint> Take(Engine engine)
    {
        var held = new List<string>();
        int[] processes = [engine.Pid, engine.SupervisorPid, Environment.ProcessId];
        foreach (var process in processes)
        {
            var mounts = await File.ReadAllLinesAsync($"/proc/{process}/mountinfo");
            held.AddRange(mounts.Select(line => line.Split(' ')[4])
                .Where(path => path.StartsWith(engine.DataRoot, StringComparison.Ordinal) || path.StartsWith(engine.ExecRoot, StringComparison.Ordinal))
                .Select(path => $"mount {path}"));
        }
        held.AddRange((await Programs.Run("ip", ["-o", "link", "show", "master", engine.Bridge])).Lines.Select(line => $"link {line.Split(':')[1].Trim()}"));
        held.AddRange((await Programs.Run("ip", ["-4", "-o", "addr", "show", "dev", engine.Bridge])).Lines.Select(line => $"address {line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3]}"));
        held.AddRange(Namespaces(processes[..2]));
        held.AddRange(Folders(Path.Combine(engine.DataRoot, "containers")));
        held.AddRange(Folders(engine.ExecRoot));

        // As many hosts of launches as there are launching threads, which a burst leaves for some seconds; the supervisor holds a descriptor of each.
        var supervisor = Descriptors(engine.SupervisorPid);
        foreach (var child in Children(engine.SupervisorPid))
        {
            if (child != "slipway-launch")
            {
                held.Add($"child of the supervisor {child}");
            }
            else
            {
                supervisor.Remove("anon_inode:[pidfd]");
            }
        }
        return new Footprint([.. held.Select(line => Number().Replace(line, "#")).Order(StringComparer.Ordinal)], Descriptors(engine.Pid), supervisor);
    }

    /// <summary>Everything that carries one of these container ids in its name: cgroups, mounts, files.</summary>
    public static async Task<IReadOnlyList<string>> Traces(Engine engine, IReadOnlyCollection<string> ids)
    {
        var names = (await Programs.Run("find", ["/sys/fs/cgroup", "/run/netns", engine.DataRoot, engine.ExecRoot, "-maxdepth", "6"])).Lines
            .Concat(await File.ReadAllLinesAsync("/proc/self/mountinfo"));
        return [.. names.Where(name => ids.Any(id => name.Contains(id, StringComparison.Ordinal)))];
    }

    public void EqualTo(Footprint before)
    {
        if (!HoldsAsMuchAs(before))
        {
            Assert.Equal(before.Held, Held);
        }

        AtMost(EngineSlack, before.EngineDescriptors, EngineDescriptors);
        AtMost(SupervisorSlack, before.SupervisorDescriptors, SupervisorDescriptors);
    }

    private static void AtMost(int slack, IReadOnlyList<string> before, IReadOnlyList<string> after) => Assert.True(
        after.Count <= before.Count + slack, $"{after.Count} descriptors, {before.Count} before.\nBefore:\n{string.Join('\n', before)}\nAfter:\n{string.Join('\n', after)}");

    private static IEnumerable<string> Namespaces(int[] processes) =>
        processes.SelectMany(Links).Where(link => link.StartsWith("net:[", StringComparison.Ordinal) || link.StartsWith("mnt:[", StringComparison.Ordinal) || link.StartsWith("pid:[", StringComparison.Ordinal))
            .Where(link => !s_ofTheHost.Contains(link))
            .Select(link => $"namespace held open {link}");

    [GeneratedRegex(@"(?<=veth)[0-9a-f]+(@\w+)?|\[\d+\]|[0-9a-f]{6,}")]
    private static partial Regex Number();

    private static IEnumerable<string> Links(int process)
    {
        foreach (var link in Directory.EnumerateFileSystemEntries($"/proc/{process}/fd"))
        {
            if (new FileInfo(link).LinkTarget is { } target)
            {
                yield return target;
            }
        }
    }

    private static IEnumerable<string> Folders(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories).Select(path => $"file {path}") : [];

    /// <summary>What each names, so that a failure tells what is held.</summary>
    private static List<string> Descriptors(int process) => [.. Links(process).Order(StringComparer.Ordinal)];

    private static IEnumerable<string> Children(int process) =>
        Directory.EnumerateDirectories($"/proc/{process}/task")
            .SelectMany(task => File.ReadAllText(Path.Combine(task, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(child => int.Parse(child, CultureInfo.InvariantCulture))
            .Select(child => File.Exists($"/proc/{child}/comm") ? File.ReadAllText($"/proc/{child}/comm").Trim() : "(gone)");
}
