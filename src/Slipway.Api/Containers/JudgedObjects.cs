namespace Slipway.Api.Containers;

/// <summary>
/// The objects that a decision was made on before a request is executed, where names in it may have passed to others since. No part of the API: a server that decides sets it, and the engine
/// takes none but these under those names.
/// </summary>
public sealed class JudgedObjects
{
    /// <summary><see cref="Disk.Volume.Incarnation"/> by name.</summary>
    public Dictionary<string, long> Volumes { get; } = new(StringComparer.Ordinal);

    /// <summary>Ids by reference.</summary>
    public Dictionary<string, string> Secrets { get; } = new(StringComparer.Ordinal);
}
