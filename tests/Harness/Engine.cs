using System.Diagnostics;
using System.Globalization;

namespace Slipway.Tests.Harness;

/// <summary>One engine started by a test: its own data root, exec root, socket and bridge, so that several run beside each other.</summary>
public sealed class Engine : IAsyncDisposable
{
    /// <summary>Flags of an engine that is to hold after a burst what it held before: what is kept ready for the next one has to be gone then.</summary>
    public static readonly string[] SparesGoSoon = ["--spare-retention", "2s"];

    private readonly string _bridge;
    private readonly List<Process> _started = [];

    /// <param name="name">Distinguishes folders and the bridge; at most 6 letters, since an interface name has at most 15.</param>
    public Engine(string name)
    {
        // The process id keeps test runs of several checkouts apart.
        Name = $"{name}{Environment.ProcessId % 100000}";
        _bridge = "slip" + Name;
        Gateway = $"10.213.{Environment.ProcessId % 250}.1";
        Docker = new Docker(Path.Combine(ExecRoot, "engine.sock"));
    }

    public string Name { get; }

    public string DataRoot => $"/var/lib/slipway-test-{Name}";

    /// <summary>What an engine works on at the moment. Directories that it keeps ready for containers to come are not.</summary>
    public static string[] Unfinished(string dataRoot) =>
        [.. Directory.GetFileSystemEntries(Path.Combine(dataRoot, "tmp")).Where(path => !Path.GetFileName(path).StartsWith("spare-", StringComparison.Ordinal))];

    public string ExecRoot => $"/run/slipway-test-{Name}";

    public string Bridge => _bridge;

    /// <summary>The bridge's own address: of its own for an engine whose network is used beside another's.</summary>
    public string Gateway { get; init; }

    public int PrefixLength { get; init; } = 24;

    /// <summary>Whether the engine has a network namespace of its own, where it may use addresses that others use too.</summary>
    public bool OwnNetworkNamespace { get; init; }

    /// <summary>Of an engine that has one of its own.</summary>
    public string Namespace => $"slipway-test-{Name}";

    /// <summary>What a command begins with that is to run in the engine's network namespace.</summary>
    public string[] Inside => OwnNetworkNamespace ? ["nsenter", $"--net=/run/netns/{Namespace}"] : [];

    public string LogPath => Path.Combine(DataRoot, "engine.log");

    private string PidFile => Path.Combine(ExecRoot, "engine.pid");

    public Docker Docker { get; }

    /// <summary>Further flags of the daemon.</summary>
    public IReadOnlyList<string> Flags { get; init; } = [];

    /// <summary>The process id of the engine.</summary>
    public int Pid => int.Parse(File.ReadAllText(PidFile), CultureInfo.InvariantCulture);

    /// <summary>The process id of the supervisor: the other slipway process that was given this exec root.</summary>
    public int SupervisorPid => FindSupervisors().Single();

    /// <summary>Starts the engine and waits until it answers.</summary>
    public async Task Start()
    {
        Requirement.Root();
        Requirement.Check(Repository.Executable is not null, "needs the built slipway: dotnet build src/Slipway.Cli, or set SLIPWAY_BIN");
        Directory.CreateDirectory(DataRoot);
        Directory.CreateDirectory(ExecRoot);
        // Through sh, so that the log goes to a file and the engine outlives nothing it should not: exec keeps the process id.
        string[] arguments =
        [
            "-c", "log=$1; shift; exec \"$@\" >> \"$log\" 2>&1 < /dev/null", "sh", LogPath, .. Inside, Repository.Executable!, "daemon",
            "--data-root", DataRoot, "--exec-root", ExecRoot, "-H", $"unix://{Docker.Socket}", "--pidfile", PidFile,
            "--bridge", _bridge, "--bip", $"{Gateway}/{PrefixLength}", .. Flags,
        ];
        await MakeNetworkNamespace();
        var process = Programs.Start("sh", arguments);
        _started.Add(process);
        var clock = Stopwatch.StartNew();
        while ((await Docker.Run("version", "-f", "{{.Server.Version}}")).ExitCode != 0)
        {
            if (process.HasExited || clock.Elapsed > Programs.Limit(30))
            {
                throw new InvalidOperationException($"the engine did not start; its log:\n{await File.ReadAllTextAsync(LogPath)}");
            }
            await Task.Delay(50);
        }
    }

    /// <summary>Makes the namespace ahead of the first start, where the engine has one of its own.</summary>
    public async Task MakeNetworkNamespace()
    {
        if (OwnNetworkNamespace && !File.Exists($"/run/netns/{Namespace}"))
        {
            (await Programs.Run("ip", ["netns", "add", Namespace])).Ok();
            (await Programs.Run("ip", ["-n", Namespace, "link", "set", "lo", "up"])).Ok();
        }
    }

    /// <summary>kill -9 of the engine alone.</summary>
    public async Task Kill()
    {
        using var process = Process.GetProcessById(Pid);
        process.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>Asks the engine to end as a service manager does, and waits.</summary>
    public async Task Stop()
    {
        using var process = Process.GetProcessById(Pid);
        (await Programs.Run("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)])).Ok();
        using var limit = new CancellationTokenSource(Programs.Limit(30));
        await process.WaitForExitAsync(limit.Token);
    }

    public async Task KillSupervisor()
    {
        using var process = Process.GetProcessById(SupervisorPid);
        process.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>A container that is being launched is a supervisor's copy by its command line, until it executes its program.</summary>
    private int[] FindSupervisors()
    {
        var found = SupervisorsAndCopies().ToArray();
        return [.. found.Where(pid => !found.Contains(Parent(pid)))];
    }

    private static int Parent(int process)
    {
        try
        {
            return int.Parse(File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1].Split(' ')[1], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0; // The process ended meanwhile.
        }
    }

    private IEnumerable<int> SupervisorsAndCopies() =>
        from folder in Directory.EnumerateDirectories("/proc")
        let id = Path.GetFileName(folder)
        where id.All(char.IsAsciiDigit)
        let arguments = CommandLine(folder)
        where arguments.Contains("supervisor") && arguments.Any(argument => argument.Contains(ExecRoot, StringComparison.Ordinal))
        select int.Parse(id, CultureInfo.InvariantCulture);

    private static string[] CommandLine(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline")).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (IOException)
        {
            return []; // The process ended while the list was read.
        }
    }

    /// <summary>Takes bridge, rules, control groups and supervisor away, as <c>slipway daemon --cleanup</c> does.</summary>
    public async Task CleanUp()
    {
        if (Directory.Exists(DataRoot))
        {
            string[] command =
            [
                .. Inside, Repository.Executable!, "daemon",
                "--data-root", DataRoot, "--exec-root", ExecRoot, "--bridge", _bridge, "--bip", $"{Gateway}/{PrefixLength}", "--cleanup",
            ];
            (await Programs.Run(command[0], command[1..])).Ok();
        }
        // The supervisor answers before it ends.
        for (var clock = Stopwatch.StartNew(); FindSupervisors().Length > 0 && clock.Elapsed < Programs.Limit(5);)
        {
            await Task.Delay(50);
        }
        Assert.Empty(FindSupervisors());
    }

    /// <summary>Removes all containers, ends engine and supervisor and deletes their folders.</summary>
    public async ValueTask DisposeAsync()
    {
        if (File.Exists(PidFile) && Directory.Exists($"/proc/{Pid}"))
        {
            var containers = (await Docker.Run("ps", "-aq")).Lines;
            if (containers.Length > 0)
            {
                await Docker.Run(["rm", "-f", "-v", .. containers]);
            }
            await Stop();
        }
        await CleanUp();
        if (OwnNetworkNamespace)
        {
            (await Programs.Run("ip", ["netns", "delete", Namespace])).Ok();
        }
        _started.ForEach(process => process.Dispose());
        if (Environment.GetEnvironmentVariable("SLIPWAY_TEST_KEEP") != "1")
        {
            Directory.Delete(DataRoot, recursive: true);
            Directory.Delete(ExecRoot, recursive: true);
        }
    }
}
