using Slipway.Api.Exec;
using Slipway.Engine.Containers;

namespace Slipway.Engine.Exec;

/// <summary>Further processes in running containers.</summary>
public interface IExecs
{
    /// <summary>Returns the exec's id (64 hex digits).</summary>
    Task<string> CreateAsync(string containerReference, ExecCreateRequest request, CancellationToken cancellationToken);

    /// <summary>Starts it and connects its streams; null where it was started detached.</summary>
    Task<StreamSession?> StartAsync(string execId, ExecStartRequest request, CancellationToken cancellationToken);

    /// <summary>Whether the exec has a terminal; known before it starts, for the headers of the answer.</summary>
    bool HasTerminal(string execId);

    ExecInspect Inspect(string execId);

    Task ResizeAsync(string execId, ushort rows, ushort columns, CancellationToken cancellationToken);
}
