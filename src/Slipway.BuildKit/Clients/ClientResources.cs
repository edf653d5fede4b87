using Microsoft.Win32.SafeHandles;
using Slipway.BuildKit.Files;
using Slipway.BuildKit.Protocol;

namespace Slipway.BuildKit.Clients;

/// <summary>What a client gives to a build over its session. Nothing else of the client can be asked for.</summary>
public sealed class ClientResources
{
    /// <summary>By the names under which the build asks for them.</summary>
    public Dictionary<string, SharedDirectory> Directories { get; } = new(StringComparer.Ordinal);

    /// <summary>Values of secrets, by id.</summary>
    public Dictionary<string, byte[]> Secrets { get; } = new(StringComparer.Ordinal);

    /// <summary>Sockets of SSH agents, by id.</summary>
    public Dictionary<string, string> Agents { get; } = new(StringComparer.Ordinal);

    /// <summary>The user and secret for the host of a registry; null: there are none.</summary>
    public Func<string, CancellationToken, Task<CredentialsResponse?>>? Credentials { get; set; }

    /// <summary>Takes the archive of an output, by its place among the outputs; reads to the end.</summary>
    public Dictionary<int, Func<Stream, CancellationToken, Task>> Outputs { get; } = [];

    /// <summary>Takes the terminal of a shell in a step; null: steps are not looked at.</summary>
    public Func<DebugCall, CancellationToken, Task>? Debug { get; set; }

    /// <summary>Directories that caches come from and go to, by the names under which the build asks for them (<c>local:</c> and a path).</summary>
    public Dictionary<string, LayoutDirectory> Stores { get; } = new(StringComparer.Ordinal);

    /// <summary>An archive that is the context, and the id under which it is fetched once.</summary>
    public (string Id, Stream Archive)? Upload { get; set; }
}

/// <summary>A directory that a build may read.</summary>
/// <param name="Select">Which of its files are sent, by the paths that are asked for (none: all) and the lines of a .dockerignore.</param>
/// <param name="Sent">Told of each file whose content went out, with its bytes.</param>
public sealed record SharedDirectory(SafeFileHandle Root, Func<IReadOnlyList<string>, IReadOnlyList<string>, FileSelection> Select, Action<string, long> Sent);
