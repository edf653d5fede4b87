using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Slipway.Build.Solving;
using Slipway.Build.Syntax;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.State;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;

namespace Slipway.Engine.Builds.Steps;

/// <summary>
/// Opens what <c>RUN --mount</c> asks for. Everything becomes a detached mount before the step's process exists, found once and by descriptors: what another build does to
/// a cache meanwhile changes nothing (CVE-2024-23651), and nothing is removed afterwards that was not made here (CVE-2024-23652).
/// </summary>
internal sealed class RunMounts(EngineServices services, BuildRequest request)
{
    private const uint SecretMode = 0x100; // 0400
    private const uint ScriptMode = 0x1ed; // 0755
    private const uint CacheMode = 0x1ed;

    /// <summary>Caches that only one step may have at a time, of all builds.</summary>
    private static readonly ConcurrentDictionary<string, SemaphoreSlim> s_locks = new(StringComparer.Ordinal);

    /// <param name="bind">Opens what a bind mount shows, writable or not.</param>
    public async Task<OpenedMounts> OpenAsync(RunOperation operation, Func<OpenedMounts, StepMount, CancellationToken, Task<SafeFileHandle>> bind, CancellationToken cancellationToken)
    {
        OpenedMounts opened = new();
        try
        {
            foreach (StepMount mount in operation.Mounts)
            {
                await AddAsync(opened, operation, mount, bind, cancellationToken);
            }

            if (operation.Script is { } script)
            {
                Add(opened, RunOperation.ScriptPath, ["bind", "ro", "nosuid", "nodev", "rprivate"], FileWith("script", Encoding.UTF8.GetBytes(script), ScriptMode, 0, 0));
            }

            return opened;
        }
        catch
        {
            await opened.DisposeAsync();
            throw;
        }
    }

    private async Task AddAsync(
        OpenedMounts opened, RunOperation operation, StepMount step, Func<OpenedMounts, StepMount, CancellationToken, Task<SafeFileHandle>> bind, CancellationToken cancellationToken)
    {
        RunMount mount = step.Mount;
        string target = mount.Target is { } path ? Absolute(operation, path) : "";
        switch (mount.Type)
        {
            case RunMountType.Bind:
                Add(opened, target, ["bind", mount.ReadOnly ?? true ? "ro" : "rw", "rprivate"], await bind(opened, step, cancellationToken));
                break;
            case RunMountType.Cache:
                Add(opened, target, ["bind", mount.ReadOnly ?? false ? "ro" : "rw", "rprivate"], await OpenCacheAsync(opened, mount, target, cancellationToken));
                break;
            case RunMountType.Tmpfs:
                opened.Targets.Add(target);
                opened.Mounts.Add(new ContainerMount("tmpfs", "", target, mount.Size is { } size ? ["nosuid", "nodev", $"size={Bytes(size)}"] : ["nosuid", "nodev"], "", ReadOnly: false, ""));
                break;
            case RunMountType.Secret:
                await AddSecretAsync(opened, mount, target, cancellationToken);
                break;
            default:
                await AddAgentAsync(opened, mount, target, cancellationToken);
                break;
        }
    }

    private static void Add(OpenedMounts opened, string target, IReadOnlyList<string> options, SafeFileHandle tree)
    {
        if (!opened.Trees.TryAdd(target, tree))
        {
            tree.Dispose();
            throw new EngineException(ErrorKind.InvalidParameter, $"Duplicate mount point: {target}");
        }

        opened.Targets.Add(target);
        opened.Mounts.Add(new ContainerMount("tree", "", target, options, "", options.Contains("ro"), "rprivate"));
    }

    private async Task AddSecretAsync(OpenedMounts opened, RunMount mount, string target, CancellationToken cancellationToken)
    {
        string id = mount.Id ?? mount.Source ?? (mount.Target is { } path ? path[(path.LastIndexOf('/') + 1)..] : "");
        if (id.Length == 0)
        {
            throw new EngineException(ErrorKind.InvalidParameter, "one of source, target required");
        }

        ReadOnlyMemory<byte>? value = request.Secrets is null ? null : await request.Secrets.GetAsync(id, cancellationToken);
        if (value is not { } secret)
        {
            if (mount.Required)
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"secret {id}: not found");
            }

            return;
        }

        if (mount.Variable is { } variable)
        {
            opened.Variables.Add($"{variable}={Encoding.UTF8.GetString(secret.Span)}");
        }

        if (mount.Variable is null || mount.Target is not null)
        {
            SafeFileHandle file = FileWith("secret", secret.Span, Mode(mount, SecretMode), Number(mount.UserId), Number(mount.GroupId));
            Add(opened, target.Length > 0 ? target : $"/run/secrets/{id[(id.LastIndexOf('/') + 1)..]}", ["bind", "ro", "nosuid", "nodev", "noexec", "rprivate"], file);
        }
    }

    private async Task AddAgentAsync(OpenedMounts opened, RunMount mount, string target, CancellationToken cancellationToken)
    {
        string id = mount.Id ?? "default";
        if (request.SshAgents is not { } agents || !await agents.HasAsync(id, cancellationToken))
        {
            if (mount.Required)
            {
                throw new EngineException(ErrorKind.InvalidParameter, $"unset ssh forward key {id}");
            }

            return;
        }

        string destination = target.Length > 0 ? target : string.Create(CultureInfo.InvariantCulture, $"/run/buildkit/ssh_agent.{opened.Variables.Count}");
        AgentSocket socket = AgentSocket.Listen(agents, id, Mode(mount, 0x180), Number(mount.UserId), Number(mount.GroupId));
        opened.Releases.Add(socket.DisposeAsync);
        Add(opened, destination, ["bind", "rw", "nosuid", "nodev", "noexec", "rprivate"], socket.TakeMount());
        opened.Variables.Add($"SSH_AUTH_SOCK={destination}");
    }

    /// <summary>Caches are directories of the data root; one that is private and in use gets a neighbour of its own.</summary>
    private async Task<SafeFileHandle> OpenCacheAsync(OpenedMounts opened, RunMount mount, string target, CancellationToken cancellationToken)
    {
        string id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(mount.Id ?? target)))[..32];
        string name = id;
        if (mount.Sharing != CacheSharing.Shared)
        {
            SemaphoreSlim held = s_locks.GetOrAdd($"{services.Options.DataRoot}/{name}", _ => new SemaphoreSlim(1));
            for (int copy = 1; mount.Sharing == CacheSharing.Private && !held.Wait(0, cancellationToken); copy++)
            {
                name = string.Create(CultureInfo.InvariantCulture, $"{id}-{copy}");
                held = s_locks.GetOrAdd($"{services.Options.DataRoot}/{name}", _ => new SemaphoreSlim(1));
            }

            if (mount.Sharing == CacheSharing.Locked)
            {
                await held.WaitAsync(cancellationToken);
            }

            opened.Releases.Add(() =>
            {
                held.Release();
                return ValueTask.CompletedTask;
            });
        }

        HostPath caches = new HostPath(services.Options.DataRoot) / "builds" / "mounts";
        caches.CreateDirectories(0x1c0);
        using SafeFileHandle parent = caches.Open(OpenFlags.Path | OpenFlags.Directory);
        if (DirectoryEntry.TryCreateDirectory(parent, name, CacheMode) == 0)
        {
            DirectoryEntry.ChangeOwner(parent, name, Number(mount.UserId), Number(mount.GroupId));
            DirectoryEntry.ChangeMode(parent, name, Mode(mount, CacheMode));
        }

        using SafeFileHandle cache = DirectoryEntry.Open(parent, name, OpenFlags.Path | OpenFlags.Directory);
        if (mount.Source is not { Length: > 0 } source || source.Trim('/') is "" or ".")
        {
            return MountTree.Clone(cache, recursive: false);
        }

        // CVE-2024-23651: the part is found once, and then mounted as what was found.
        using RootDirectory root = new(Descriptors.Duplicate(cache));
        root.EnsureDirectory(source).Descriptor?.Dispose();
        using SafeFileHandle part = root.Open(source.Trim('/'), OpenFlags.Path | OpenFlags.Directory, resolution: Resolution.Beneath);
        return MountTree.Clone(part, recursive: false);
    }

    /// <summary>A file in memory, as a mount; gone with the step.</summary>
    private static SafeFileHandle FileWith(string name, ReadOnlySpan<byte> content, uint mode, uint user, uint group)
    {
        using SafeFileHandle files = FileSystemContext.Mount("tmpfs", MountAttributes.None, "source=tmpfs", "mode=700");
        using (SafeFileHandle file = DirectoryEntry.Open(files, name, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, 0x100))
        {
            Descriptors.Write(file, content);
        }

        DirectoryEntry.ChangeOwner(files, name, user, group);
        DirectoryEntry.ChangeMode(files, name, mode);
        return MountPart.Take(files, name);
    }

    private static string Absolute(RunOperation operation, string path) =>
        "/" + string.Join('/', (path.StartsWith('/') ? path : $"{operation.WorkingDirectory}/{path}").Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != "."));

    private static uint Mode(RunMount mount, uint standard) => TransferWriter.Mode(mount.Mode) ?? standard;

    /// <summary>Ids of a Dockerfile are numbers up to 2³¹−1: a larger one would be another user somewhere (CVE-2024-40635).</summary>
    private static uint Number(string? text) => text is null ? 0
        : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) && number <= int.MaxValue ? number
        : throw new EngineException(ErrorKind.InvalidParameter, $"invalid uid or gid: {text}");

    private static long Bytes(string text)
    {
        string trimmed = text.Trim().ToLowerInvariant();
        int shift = trimmed.TrimEnd('b') is [.., var unit] ? unit switch { 'k' => 10, 'm' => 20, 'g' => 30, 't' => 40, _ => 0 } : 0;
        return long.TryParse(trimmed.TrimEnd('b').TrimEnd('k', 'm', 'g', 't').TrimEnd('i'), NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number > 0 && number < 1L << (60 - shift)
            ? number << shift : throw new EngineException(ErrorKind.InvalidParameter, $"invalid value for size: {text}");
    }
}
