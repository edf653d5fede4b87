using Microsoft.Win32.SafeHandles;
using Slipway.Build.Solving;
using Slipway.Oci;

namespace Slipway.Engine.Builds.Steps;

/// <summary>What mounts of RUN show of stages, images and contexts.</summary>
internal interface IMountSources
{
    /// <summary>A digest over it.</summary>
    Task<Digest> ContentAsync(StepMount mount, CancellationToken cancellationToken);

    /// <summary>As a detached mount; what is written to it goes with the step.</summary>
    Task<SafeFileHandle> OpenAsync(OpenedMounts opened, StepMount mount, CancellationToken cancellationToken);
}
