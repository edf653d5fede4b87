using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Runtime.Compilation;

namespace Slipway.Runtime.Checkpoints;

/// <summary>
/// The host's <c>criu</c>, which writes processes down and lets them go on. It is executed, as nothing else is that has to do with containers of our own; its command line is its
/// documented interface (criu(8)).
/// </summary>
/// <param name="Path">Of the program; a bare name is looked up where a host has its programs.</param>
public sealed record CriuProgram(string Path)
{
    /// <summary>By which the images name the network namespace.</summary>
    internal const string NetworkKey = "slipway-network";

    private const string DumpLog = "dump.log";
    private const string RestoreLog = "restore.log";
    private const int MaxLog = 16 << 20;

    private static readonly string[] s_folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// <summary>All memory of the container goes to the disk.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);

    internal static string SearchPath => $"PATH={string.Join(':', s_folders)}";

    /// <summary>The program's own path.</summary>
    /// <exception cref="PlanException">There is none.</exception>
    public string Executable => Path.Contains('/', StringComparison.Ordinal) ? Path
        : Array.Find(Array.ConvertAll(s_folders, folder => $"{folder}/{Path}"), IsThere)
        ?? throw PlanException.Invalid($"exec: \"{Path}\": executable file not found in $PATH");

    /// <summary>Writes a container's processes into an empty directory; they end with that unless they are left running.</summary>
    /// <param name="pid">Of the first process.</param>
    /// <returns>What CRIU says against it; null where it was done.</returns>
    /// <exception cref="PlanException">There is no such program.</exception>
    public async Task<string?> DumpAsync(int pid, ContainerOutside outside, string directory, bool leaveRunning, CancellationToken cancellationToken)
    {
        List<string> arguments =
        [
            "dump", "--tree", pid.ToString(CultureInfo.InvariantCulture), "--images-dir", directory, "--log-file", DumpLog, "--root", "/", "--manage-cgroups=ignore", "--file-locks",
            .. outside.Mounts.SelectMany(path => (string[])["--external", $"mnt[{path}]:{path}"]),
        ];
        if (outside.NetworkInode is { } network)
        {
            arguments.AddRange(["--external", string.Create(CultureInfo.InvariantCulture, $"net[{network}]:{NetworkKey}")]);
        }

        foreach (string file in outside.Streams.OfType<string>().Where(stream => stream.StartsWith("file", StringComparison.Ordinal)).Distinct())
        {
            arguments.AddRange(["--external", file]);
        }

        if (leaveRunning)
        {
            arguments.Add("--leave-running");
        }

        new CheckpointRecord { Streams = outside.Streams, Network = outside.NetworkInode is not null }.Write(directory);
        return await RunAsync(arguments, cancellationToken).ConfigureAwait(false) is { } output ? ReadProblem($"{directory}/{DumpLog}") ?? output : null;
    }

    /// <summary>The arguments of a restore, the program's name included.</summary>
    /// <param name="mounts">What is mounted at the mount points that are not the container's own.</param>
    /// <param name="relay">The program that is executed when all is done: parent of the first process.</param>
    internal string[] RestoreArguments(CheckpointRecord record, string directory, string work, string root, string pidFile, IEnumerable<(string MountPoint, string Source)> mounts, string relay) =>
    [
        Executable, "restore", "--images-dir", directory, "--work-dir", work, "--log-file", RestoreLog, "-v3", "--root", root, "--manage-cgroups=ignore", "--file-locks", "--pidfile", pidFile,
        .. mounts.SelectMany(mount => (string[])["--external", $"mnt[{mount.MountPoint}]:{mount.Source}"]),
        .. record.Streams.Index().Where(stream => stream.Item is not null).SelectMany(stream => (string[])["--inherit-fd", string.Create(CultureInfo.InvariantCulture, $"fd[{stream.Index}]:{stream.Item}")]),
        .. record.Network ? (string[])["--inherit-fd", $"fd[3]:{NetworkKey}"] : [],
        "--exec-cmd", "--", relay,
    ];

    /// <summary>Why a restore failed; null where CRIU does not tell.</summary>
    public static string? ReadRestoreProblem(string work) => ReadProblem($"{work}/{RestoreLog}");

    /// <summary>Whether a restore came to its end, as its log tells, though all processes may have ended since.</summary>
    public static bool HasRestored(string work) => ReadLog($"{work}/{RestoreLog}")?.Contains("Restore finished successfully", StringComparison.Ordinal) ?? false;

    /// <summary>The first error of a log: what comes after follows from it.</summary>
    internal static string? FirstError(string log)
    {
        foreach (string line in log.Split('\n'))
        {
            // (00.012345) Error (criu/mount.c:123): mnt: …
            int error = line.IndexOf("Error (", StringComparison.Ordinal);
            int text = error < 0 ? -1 : line.IndexOf("): ", error, StringComparison.Ordinal);

            // Without CAP_SYS_RESOURCE, and where a program that it executes has nothing to do, CRIU goes on.
            if (text > 0 && !line.Contains("RLIMIT_NOFILE", StringComparison.Ordinal) && !line.Contains("exited, status=", StringComparison.Ordinal))
            {
                return line[(text + 3)..].Trim();
            }
        }

        return null;
    }

    private static bool IsThere(string path)
    {
        using SafeFileHandle? file = new HostPath(path).TryOpen(OpenFlags.Path);
        return file is not null;
    }

    private static string? ReadProblem(string log) => ReadLog(log) is { } text ? FirstError(text) : null;

    private static string? ReadLog(string log)
    {
        using SafeFileHandle? file = new HostPath(log).TryOpen(OpenFlags.ReadOnly | OpenFlags.NoFollow);
        return file is null || RandomAccess.GetLength(file) > MaxLog ? null : Encoding.UTF8.GetString(Descriptors.ReadToEnd(file, MaxLog));
    }

    /// <returns>What it wrote where it failed; null where it did not.</returns>
    private async Task<string?> RunAsync(IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new(Executable, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" };
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(s_patience);
            try
            {
                Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
                string error = await process.StandardError.ReadToEndAsync(limit.Token).ConfigureAwait(false);
                await output.ConfigureAwait(false);
                await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
                return process.ExitCode == 0 ? null : FirstError(error) ?? error.Trim();
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                process.Kill();
                return "criu does not end";
            }
        }
        catch (Win32Exception error)
        {
            return $"exec: \"{Path}\": {error.Message}";
        }
    }
}
