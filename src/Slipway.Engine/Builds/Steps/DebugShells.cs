using System.Text;
using Slipway.Build.Solving;

namespace Slipway.Engine.Builds.Steps;

/// <summary>Shells in the steps of one build: one at a time, since the client has one terminal.</summary>
/// <param name="file">The Dockerfile's name.</param>
internal sealed class DebugShells(IBuildDebugger debugger, BuildReport report, string file, TimeProvider time) : IDisposable
{
    private readonly SemaphoreSlim _terminal = new(1);

    /// <summary>Opens a shell, and waits for its end. That there is none, or that the client has gone, is no failure of the step.</summary>
    /// <param name="error">Why the step failed; null: it is to be done yet.</param>
    public async Task OpenAsync(RunStep step, RunOperation operation, RunInputs inputs, StepVertex vertex, string? error, CancellationToken cancellationToken)
    {
        await _terminal.WaitAsync(cancellationToken);
        try
        {
            string id = Identifiers.New();
            DateTimeOffset now = time.GetUtcNow();
            await report.StatusAsync(new BuildStatus(vertex.Digest, id, 0, 0) { Action = "shell", Time = now, Started = now });
            await using IDebugTerminal terminal = await debugger.OpenAsync(new DebugPlace(id, vertex.Name, file, vertex.Lines.First, error), cancellationToken);
            try
            {
                await using OpenedMounts mounts = await inputs.OpenAsync(cancellationToken);
                await step.ShellAsync(operation, mounts, terminal, cancellationToken);
            }
            catch (EngineException none)
            {
                await terminal.WriteAsync(Encoding.UTF8.GetBytes($"no shell: {none.Message}\r\n"), cancellationToken);
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            // The build is cancelled where its client has gone; otherwise only the terminal has.
            cancellationToken.ThrowIfCancellationRequested();
        }
        finally
        {
            _terminal.Release();
        }
    }

    public void Dispose() => _terminal.Dispose();
}
