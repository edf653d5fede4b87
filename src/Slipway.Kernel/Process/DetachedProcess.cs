using Microsoft.Win32.SafeHandles;

namespace Slipway.Kernel.Process;

/// <summary>A program that goes on when its starter ends: a session of its own, no terminal, output to a file (daemon(7)).</summary>
public static class DetachedProcess
{
    /// <summary>Starts <paramref name="executable"/> with the starter's environment and returns once execve has succeeded.</summary>
    /// <param name="arguments">argv without its first word, which is the executable.</param>
    /// <param name="log">Receives standard output and error.</param>
    /// <exception cref="KernelException">It could not be executed.</exception>
    public static async Task StartAsync(string executable, IEnumerable<string> arguments, SafeFileHandle log)
    {
        using LaunchPlan plan = new();
        PlanPrologue.Begin(plan, terminal: false);
        PlanPrologue.Seal(plan);
        List<string> environment = [];
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            environment.Add($"{variable.Key}={variable.Value}");
        }

        plan.Add($"execve \"{executable}\"", SystemCall.Execve, [plan.Text(executable), plan.TextArray([executable, .. arguments]), plan.TextArray(environment)]);

        using SafeFileHandle nothing = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.Read);
        using Launcher launcher = new();
        LaunchOutcome outcome = await launcher.LaunchAsync(new LaunchOrder(PlanDocument.Parse(PlanDocument.Serialize(plan)), [], nothing, log, log)).ConfigureAwait(false);
        outcome.Pidfd?.Dispose();
        if (outcome.Failure is { } failure)
        {
            throw new KernelException(failure.Description, failure.Errno);
        }
    }
}
