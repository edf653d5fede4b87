using System.Globalization;
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

    private readonly CacheDirectories _caches = new(services);

    /// <param name="sources">Opens what mounts show of stages, images and contexts.</param>
    public async Task<OpenedMounts> OpenAsync(RunOperation operation, IMountSources sources, CancellationToken cancellationToken)
    {
        OpenedMounts opened = new();
        try
        {
            foreach (StepMount mount in operation.Mounts)
            {
                await AddAsync(opened, operation, mount, sources, cancellationToken);
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
        OpenedMounts opened, RunOperation operation, StepMount step, IMountSources sources, CancellationToken cancellationToken)
    {
        RunMount mount = step.Mount;
        string target = mount.Target is { } path ? Absolute(operation, path) : "";
        switch (mount.Type)
        {
            case RunMountType.Bind:
                Add(opened, target, ["bind", mount.ReadOnly ?? true ? "ro" : "rw", "rprivate"], await sources.OpenAsync(opened, step, cancellationToken));
                break;
            case RunMountType.Cache:
                Add(opened, target, ["bind", mount.ReadOnly ?? false ? "ro" : "rw", "rprivate"], await OpenCacheAsync(opened, step, target, sources, cancellationToken));
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

    private async Task<SafeFileHandle> OpenCacheAsync(
        OpenedMounts opened, StepMount step, string target, IMountSources sources, CancellationToken cancellationToken)
    {
        RunMount mount = step.Mount;
        NewCache created = new()
        {
            Mode = mount.Mode is null ? null : Mode(mount, 0),
            UserId = mount.UserId is null ? null : Number(mount.UserId),
            GroupId = mount.GroupId is null ? null : Number(mount.GroupId),
        };
        string id = mount.Id ?? target;
        if (step.Source is null)
        {
            return await _caches.OpenAsync(opened, id, mount.Sharing, created, mount.Source, cancellationToken);
        }

        // A cache with content to begin with is another for other content, as in BuildKit.
        StepMount content = step with { Mount = mount with { ReadOnly = true } };
        id = string.Join('\n', id, await sources.ContentAsync(content, cancellationToken), mount.Source?.Trim('/'));
        return await _caches.OpenAsync(opened, id, mount.Sharing, created with { Content = ContentAsync }, part: null, cancellationToken);

        async Task<SafeFileHandle> ContentAsync(CancellationToken end)
        {
            SafeFileHandle tree = await sources.OpenAsync(opened, content, end);
            if (FileStatus.Of(tree).IsDirectory)
            {
                return tree;
            }

            tree.Dispose();
            throw new EngineException(ErrorKind.InvalidParameter, $"failed to compute cache key: \"/{mount.Source?.Trim('/')}\": not a directory");
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
