using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;

namespace Slipway.Runtime.Supervision;

/// <summary>Finds the supervisor of a directory, or starts one that outlives this process.</summary>
public static class SupervisorLauncher
{
    private const int SIGKILL = 9;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(3);

    // A small heap that is given back: the supervisor idles most of the time and needs no background collections.
    private static readonly string[] s_settings =
        ["DOTNET_gcServer=0", "DOTNET_gcConcurrent=0", "DOTNET_GCgen0size=0x200000", "DOTNET_GCConserveMemory=7", "DOTNET_TieredPGO=0"];

    /// <summary>Connects, starting the supervisor first where none answers.</summary>
    /// <param name="command">Absolute path of the program, and the arguments before the options: <c>/usr/local/bin/slipway supervisor</c>.</param>
    /// <exception cref="LaunchException">The program cannot be executed.</exception>
    /// <exception cref="SupervisorException">It ended, or did not answer in time; the message tells its log.</exception>
    public static async Task<SupervisorClient> ConnectOrStartAsync(SupervisorOptions options, IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(command);
        if (await TryConnectAsync(options, cancellationToken).ConfigureAwait(false) is SupervisorClient running)
        {
            return running;
        }

        new HostPath(options.ExecRoot).CreateDirectories(0x1C0);
        long deadline = options.Time.GetTimestamp() + (long)(s_patience.TotalSeconds * options.Time.TimestampFrequency);
        (int pid, SafeFileHandle pidfd) = await StartAsync(options, command).ConfigureAwait(false);
        while (true)
        {
            if (await TryConnectAsync(options, cancellationToken).ConfigureAwait(false) is SupervisorClient client)
            {
                if (client.SupervisorPid != pid)
                {
                    // Another's was first. Ours, which may not have come as far as to notice, must not serve when that one has ended.
                    Pidfd.SendSignal(pidfd, SIGKILL);
                }

                client.ReapAtEnd(pidfd);
                return client;
            }

            ProcessStatus? ended = Pidfd.TryWait(pidfd);
            if (options.Time.GetTimestamp() > deadline || ended is { ExitCode: not SupervisorHost.AlreadyServed })
            {
                pidfd.Dispose();
                string state = ended is ProcessStatus status ? string.Create(CultureInfo.InvariantCulture, $"ended with status {status.ExitCode}") : "does not answer";
                throw new SupervisorException($"the supervisor that was started {state}; see {options.LogPath}");
            }

            await Task.Delay(s_interval, options.Time, cancellationToken).ConfigureAwait(false);
            if (ended is not null)
            {
                // Another engine's supervisor was first, and answers soon; or the one before was just ending.
                pidfd.Dispose();
                if (await TryConnectAsync(options, cancellationToken).ConfigureAwait(false) is SupervisorClient other)
                {
                    return other;
                }

                (pid, pidfd) = await StartAsync(options, command).ConfigureAwait(false);
            }
        }
    }

    private static async Task<SupervisorClient?> TryConnectAsync(SupervisorOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await SupervisorClient.ConnectAsync(options.SocketPath, cancellationToken).ConfigureAwait(false);
        }
        catch (KernelException exception) when (exception.Errno is Errno.ENOENT or Errno.ECONNREFUSED)
        {
            return null;
        }
        catch (SupervisorLostException)
        {
            // It ended between accepting and answering.
            return null;
        }
    }

    /// <summary>A session of its own, its output in a file, and nothing of this process' environment but what .NET needs.</summary>
    private static async Task<(int Pid, SafeFileHandle Pidfd)> StartAsync(SupervisorOptions options, IReadOnlyList<string> command)
    {
        using SafeFileHandle none = new HostPath("/dev/null").Open(OpenFlags.ReadOnly);
        using SafeFileHandle log = new HostPath(options.LogPath).Open(OpenFlags.WriteOnly | OpenFlags.Append | OpenFlags.Create | OpenFlags.NoFollow, 0x180);
        using var plan = new LaunchPlan();
        PlanPrologue.Begin(plan, terminal: false);
        plan.Add("chdir \"/\"", SystemCall.Chdir, [plan.Text("/")]);
        PlanPrologue.Seal(plan);
        string[] arguments = [.. command, "--exec-root", options.ExecRoot, "--data-root", options.DataRoot];
        plan.Add($"execve \"{command[0]}\"", SystemCall.Execve, [plan.Text(command[0]), plan.TextArray(arguments), plan.TextArray(Environment())]);

        using var launcher = new Launcher();
        LaunchOutcome outcome = await launcher.LaunchAsync(new LaunchOrder(PlanDocument.Parse(PlanDocument.Serialize(plan)), [], none, log, log)).ConfigureAwait(false);
        return outcome.Failure is PlanFailure failure
            ? throw new LaunchException(failure.Step, failure.StepCount, failure.Description, failure.Errno, failure.Signal)
            : (outcome.Pid, outcome.Pidfd!);
    }

    private static string[] Environment()
    {
        List<string> variables = [.. s_settings];
        foreach (System.Collections.DictionaryEntry variable in System.Environment.GetEnvironmentVariables())
        {
            string name = (string)variable.Key;
            if (name is "PATH" or "DOTNET_ROOT" or "DOTNET_BUNDLE_EXTRACT_BASE_DIR")
            {
                variables.Add($"{name}={variable.Value}");
            }
        }

        return [.. variables];
    }
}
