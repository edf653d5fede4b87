using Slipway.Engine.Builds;
using Slipway.Engine.Containers;
using Slipway.Engine.Daemon;
using Slipway.Engine.Disk;
using Slipway.Engine.Events;
using Slipway.Engine.Exec;
using Slipway.Engine.Images;
using Slipway.Engine.Images.Registries;
using Slipway.Engine.Networks;
using Slipway.Engine.Secrets;
using Slipway.Engine.Volumes;

namespace Slipway.Engine;

/// <summary>A container engine. The HTTP server is a thin translation of it; a .NET program may use it without HTTP.</summary>
public interface IEngine : IAsyncDisposable
{
    IContainers Containers { get; }

    IExecs Execs { get; }

    IImages Images { get; }

    IRegistries Registries { get; }

    IEvents Events { get; }

    IDaemon Daemon { get; }

    IDisk Disk { get; }

    IVolumes Volumes { get; }

    INetworks Networks { get; }

    ISecrets Secrets { get; }

    /// <summary>Null: this engine does not build.</summary>
    IBuilds? Builds => null;
}
