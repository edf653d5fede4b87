using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Runtime.Compilation;

namespace Slipway.Runtime.Foreign;

/// <summary>
/// An OCI runtime of the host: a program with the verbs that runc has. <c>run</c> and <c>exec</c> are processes of the supervisor's, in the foreground:
/// their streams are the container's, they end when its process does, with its exit code. So logs, attached clients, terminals and the record of exits are
/// those of any other container. The other verbs are run to their end.
/// </summary>
/// <param name="Path">Of the program; a bare name is looked up where a host has its programs.</param>
/// <param name="Arguments">Before everything else.</param>
public sealed record RuntimeProgram(string Path, IReadOnlyList<string> Arguments)
{
    private static readonly string[] s_folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <summary>All memory of the container goes to the disk.</summary>
    private static readonly TimeSpan s_checkpoint = TimeSpan.FromMinutes(10);

    private static string SearchPath => $"PATH={string.Join(':', s_folders)}";

    /// <summary>The program's own path.</summary>
    /// <exception cref="PlanException">There is none.</exception>
    public string Executable => Path.Contains('/', StringComparison.Ordinal) ? Path
        : Array.Find(Array.ConvertAll(s_folders, folder => $"{folder}/{Path}"), Exists)
        ?? throw PlanException.Invalid($"exec: \"{Path}\": executable file not found in $PATH");

    /// <summary>The plan of <c>run</c>: creates and starts the container.</summary>
    public CompiledPlan CompileRun(RuntimeBundle bundle, bool terminal) =>
        Compile(bundle, terminal, "run", "--bundle", bundle.Path, "--pid-file", bundle.PidFile(null), bundle.Id);

    /// <summary>The plan of <c>restore</c>: creates the container and lets it go on from a checkpoint.</summary>
    /// <param name="checkpoint">The directory with what CRIU has written.</param>
    public CompiledPlan CompileRestore(RuntimeBundle bundle, string checkpoint) => Compile(
        bundle, terminal: false, "restore", "--bundle", bundle.Path, "--image-path", checkpoint, "--work-path", bundle.Work, "--pid-file", bundle.PidFile(null), bundle.Id);

    /// <summary>The plan of <c>exec</c>.</summary>
    /// <param name="process">The path of the process document.</param>
    public CompiledPlan CompileExec(RuntimeBundle bundle, string execId, string process, bool terminal) =>
        Compile(bundle, terminal, "exec", "--process", process, "--pid-file", bundle.PidFile(execId), bundle.Id);

    /// <summary>Signals the container's first process.</summary>
    /// <returns>What the runtime says against it; null where it was sent.</returns>
    public Task<string?> KillAsync(RuntimeBundle bundle, int signal) =>
        RunAsync(bundle, s_patience, "kill", bundle.Id, signal.ToString(System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Writes the container's processes into a directory; they end with that unless they are left running.</summary>
    /// <inheritdoc cref="KillAsync" path="/returns"/>
    public Task<string?> CheckpointAsync(RuntimeBundle bundle, string checkpoint, bool leaveRunning) =>
        RunAsync(bundle, s_checkpoint, ["checkpoint", "--image-path", checkpoint, "--work-path", bundle.Work, .. (ReadOnlySpan<string>)(leaveRunning ? ["--leave-running"] : []), bundle.Id]);

    /// <summary>Removes what the runtime keeps of the container, and kills it where it runs.</summary>
    /// <inheritdoc cref="KillAsync" path="/returns"/>
    public Task<string?> DeleteAsync(RuntimeBundle bundle) => RunAsync(bundle, s_patience, "delete", "--force", bundle.Id);

    private static bool Exists(string path)
    {
        using SafeFileHandle? file = new HostPath(path).TryOpen(OpenFlags.Path);
        return file is not null;
    }

    private string[] CommandLine(RuntimeBundle bundle, ReadOnlySpan<string> verb) =>
        [Executable, .. Arguments, "--root", bundle.State, "--log", bundle.Log, "--log-format", "json", .. verb];

    private CompiledPlan Compile(RuntimeBundle bundle, bool terminal, params ReadOnlySpan<string> verb)
    {
        string[] arguments = CommandLine(bundle, verb);
        LaunchPlan plan = new();
        PseudoTerminal? pty = null;
        try
        {
            if (terminal)
            {
                // One of the host's, by which the runtime passes on what its own terminal in the container gets.
                using SafeFileHandle devpts = new HostPath("/dev/pts").Open(OpenFlags.ReadOnly | OpenFlags.Directory);
                pty = PseudoTerminal.Create(devpts);
            }

            PlanPrologue.Begin(plan, terminal);
            PlanPrologue.Seal(plan);
            plan.Add($"execve \"{arguments[0]}\"", SystemCall.Execve, [plan.Text(arguments[0]), plan.TextArray(arguments), plan.TextArray([SearchPath])]);
            return new CompiledPlan(plan, pty?.Master);
        }
        catch
        {
            pty?.Dispose();
            plan.Dispose();
            throw;
        }
    }

    private async Task<string?> RunAsync(RuntimeBundle bundle, TimeSpan patience, params string[] verb)
    {
        string[] arguments = CommandLine(bundle, verb);
        ProcessStartInfo start = new(arguments[0], arguments[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            using CancellationTokenSource limit = new(patience);
            try
            {
                Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
                string error = await process.StandardError.ReadToEndAsync(limit.Token).ConfigureAwait(false);
                await output.ConfigureAwait(false);
                await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
                return process.ExitCode == 0 ? null : bundle.ReadError() ?? error.Trim();
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                return $"{Path} {verb[0]} does not end";
            }
        }
        catch (Win32Exception error)
        {
            return $"exec: \"{Path}\": {error.Message}";
        }
    }
}
