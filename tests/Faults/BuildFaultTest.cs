using System.Text.RegularExpressions;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>Base of tests that end builds: the processes of steps are found by what they sleep, and what a build leaves is looked for.</summary>
public abstract partial class BuildFaultTest(string name) : FaultTest(name)
{
    /// <summary>Seconds that nobody else sleeps: what is left of a build's steps is found by them.</summary>
    protected string Marker { get; } = $"98765.{Random.Shared.Next(100000, 999999)}";

    protected string Context { get; } = Directory.CreateTempSubdirectory("slipway-test-").FullName;

    /// <summary>No process of a step, and no control group and mount that one had; soon, since the kernel takes its time.</summary>
    protected async Task NothingRuns(string where, IReadOnlyCollection<string> ids)
    {
        string[] left = [];
        for (var clock = System.Diagnostics.Stopwatch.StartNew(); clock.Elapsed < Programs.Limit(20); await Task.Delay(50, Cancellation))
        {
            left = [.. Processes().Select(process => process.Folder), .. await Footprint.Traces(Engine, ids)];
            if (left.Length == 0)
            {
                return;
            }
        }

        Assert.Fail($"{where}: left are {string.Join(", ", left)}");
    }

    /// <summary>The programs of steps that sleep, and the id of the step that each belongs to.</summary>
    protected IEnumerable<(string Folder, string Step)> Processes()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(folder => Path.GetFileName(folder).All(char.IsAsciiDigit)))
        {
            string command, groups;
            try
            {
                (command, groups) = (File.ReadAllText($"{folder}/cmdline"), File.ReadAllText($"{folder}/cgroup"));
            }
            catch (IOException)
            {
                continue; // It ended meanwhile.
            }

            if (command.StartsWith("sleep\0", StringComparison.Ordinal) && command.Contains(Marker, StringComparison.Ordinal))
            {
                yield return (folder, StepId().Match(groups).Value);
            }
        }
    }

    /// <summary>The cache is all that builds leave: without it there is the layer of the base, and nothing unfinished.</summary>
    protected async Task NothingIsKept()
    {
        (await Docker.Run("builder", "prune", "-af")).Ok();
        await Docker.Ok("image", "prune", "-f");
        await Docker.Until(sizes => sizes.Contains("Build Cache 0B", StringComparison.Ordinal), ["system", "df", "--format", "{{.Type}} {{.Size}}"]);
        await TemporaryFolderEmpties();
        for (var clock = System.Diagnostics.Stopwatch.StartNew(); Layers().Length > 1 && clock.Elapsed < Programs.Limit(20);)
        {
            await Task.Delay(50, Cancellation);
        }

        Assert.Single(Layers());
        Directory.Delete(Context, recursive: true);

        string[] Layers() => Directory.GetDirectories(Path.Combine(Engine.DataRoot, "layers"));
    }

    [GeneratedRegex("[0-9a-f]{64}")]
    private static partial Regex StepId();
}
