using Microsoft.Win32.SafeHandles;
using Slipway.Build.Solving;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Builds.Steps;

/// <summary>What a RUN sees besides its root file system.</summary>
internal sealed class RunInputs : StepInputs
{
    /// <summary>Opens the mounts, when the step is done; they are the caller's.</summary>
    public required Func<CancellationToken, Task<OpenedMounts>> OpenAsync { get; init; }
}

/// <summary>Mounts of a step, opened.</summary>
internal sealed class OpenedMounts : IAsyncDisposable
{
    public List<ContainerMount> Mounts { get; } = [];

    /// <summary>By destination; the launch takes them over.</summary>
    public Dictionary<string, SafeFileHandle> Trees { get; } = [];

    public List<string> Variables { get; } = [];

    /// <summary>Where mounts are made that the image has not, to be removed again afterwards.</summary>
    public List<string> Targets { get; } = [];

    /// <summary>What is given back when the step has ended.</summary>
    public List<Func<ValueTask>> Releases { get; } = [];

    public async ValueTask DisposeAsync()
    {
        foreach (SafeFileHandle tree in Trees.Values)
        {
            tree.Dispose();
        }

        Releases.Reverse();
        foreach (Func<ValueTask> release in Releases)
        {
            await release();
        }

        Releases.Clear();
    }
}
