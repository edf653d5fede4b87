using System.Net.Sockets;
using Slipway.Api.Containers;
using Slipway.Api.Daemon;
using Slipway.Api.Disk;
using Slipway.Api.Events;
using Slipway.Api.Exec;
using Slipway.Api.Images;
using Slipway.Api.Networks;
using Slipway.Api.Registries;
using Slipway.Api.Secrets;
using Slipway.Api.Volumes;
using Slipway.Engine.Containers;
using Slipway.Engine.Daemon;
using Slipway.Engine.Disk;
using Slipway.Engine.Events;
using Slipway.Engine.Exec;
using Slipway.Engine.Images.Registries;
using Slipway.Engine.Images;
using Slipway.Engine.Networks;
using Slipway.Engine.Secrets;
using Slipway.Engine.Volumes;
using Slipway.Engine;
using Slipway.Oci;
using Slipway.Registry.Distribution;

namespace Slipway.Tests.Engine.Server;

/// <summary>An engine that does what a test tells it; what it is not told about, it does not know.</summary>
internal sealed class FakeEngine : IEngine, IContainers, IExecs, IImages, IRegistries, IEvents, IDaemon, IDisk, IVolumes, ISecrets, INetworks
{
    public const string Id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    public IContainers Containers => this;

    public IExecs Execs => this;

    public IImages Images => this;

    public IRegistries Registries => this;

    public IEvents Events => this;

    public IDaemon Daemon => this;

    public IDisk Disk => this;

    public IVolumes Volumes => this;

    public ISecrets Secrets => this;

    public INetworks Networks => this;

    public IReadOnlyList<System.Net.IPAddress> HostGateways => [System.Net.IPAddress.Parse("fd00::3"), System.Net.IPAddress.Parse("10.1.2.3")];

    public string DataRoot { get; set; } = "/var/lib/slipway-fake";

    public Slipway.Engine.Builds.IBuilds? Builds { get; set; }

    public Func<string, Network>? OnNetwork { get; set; }

    public List<Secret> KnownSecrets { get; } = [];

    public List<string> KnownCheckpoints { get; } = [];

    public bool IsExperimental { get; set; }

    public Func<ContainerCreate, ContainerCreateResponse>? OnCreate { get; set; }

    public Func<ContainerListOptions, IReadOnlyList<ContainerSummary>> OnList { get; set; } = _ => [];

    public Func<string, ContainerInspect>? OnInspect { get; set; }

    public Func<string, Task>? OnStart { get; set; }

    public Func<string, AttachOptions, StreamSession>? OnAttach { get; set; }

    public Func<string, WaitCondition, CancellationToken, Task<ContainerWaitResponse>>? OnWait { get; set; }

    public Func<LogsOptions, CancellationToken, LogSession>? OnLogs { get; set; }

    public Func<string, ExecCreateRequest, string>? OnExecCreate { get; set; }

    public Func<string, ExecStartRequest, StreamSession?>? OnExecStart { get; set; }

    public bool ExecTerminal { get; set; }

    public string ExecDetachKeys { get; set; } = "";

    public Func<Stream, bool, Func<ProgressMessage, ValueTask>, CancellationToken, Task>? OnLoad { get; set; }

    public Func<ImageImport, Stream, Func<ProgressMessage, ValueTask>, Task>? OnImport { get; set; }

    public Func<IReadOnlyList<string>, Func<Stream, CancellationToken, Task>>? OnSave { get; set; }

    public Func<bool, Filters, IReadOnlyList<ImageSummary>> OnImages { get; set; } = (_, _) => [];

    public Func<DateTimeOffset?, DateTimeOffset?, Filters, CancellationToken, IAsyncEnumerable<EventMessage>>? OnEvents { get; set; }

    public Func<string, IReadOnlyList<FilesystemChange>> OnChanges { get; set; } = _ => [];

    public Func<string, Func<Stream, CancellationToken, Task>>? OnExport { get; set; }

    public Func<string, ContainerPathStat>? OnStatPath { get; set; }

    public Func<string, ContainerArchive>? OnCopyFrom { get; set; }

    public Func<ContainerExtraction, Stream, Task>? OnCopyTo { get; set; }

    public Func<ContainerCommit, string>? OnCommit { get; set; }

    public Func<string, ContainerUpdateRequest, ContainerUpdateResponse>? OnUpdate { get; set; }

    public Func<string, Volume>? OnVolume { get; set; }

    public Func<DiskUsageTypes, DiskUsage> OnDiskUsage { get; set; } = _ => new DiskUsage();

    public Func<ImagePullRequest, Func<ProgressMessage, ValueTask>, CancellationToken, Task>? OnPull { get; set; }

    public Func<ImagePushRequest, Func<ProgressMessage, ValueTask>, CancellationToken, Task>? OnPush { get; set; }

    public Func<RegistryCredentials, LoginAnswer>? OnLogin { get; set; }

    public Func<string, int?, Filters, IReadOnlyList<SearchResult>>? OnSearch { get; set; }

    /// <summary>Calls without a result: verb and arguments.</summary>
    public List<string> Calls { get; } = [];

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    Task<ContainerCreateResponse> IContainers.CreateAsync(ContainerCreate create, CancellationToken cancellationToken) =>
        Task.FromResult(OnCreate?.Invoke(create) ?? new ContainerCreateResponse(Id, []));

    IReadOnlyList<ContainerSummary> IContainers.List(ContainerListOptions options) => OnList(options);

    ContainerInspect IContainers.Inspect(string reference, bool size) => OnInspect?.Invoke(reference) ?? throw NoContainer(reference);

    Task IContainers.StartAsync(string reference, CheckpointName? checkpoint, CancellationToken cancellationToken) => OnStart?.Invoke(reference) ?? throw NoContainer(reference);

    Task IContainers.CheckpointAsync(string reference, CheckpointName checkpoint, bool leaveRunning, CancellationToken cancellationToken) =>
        Call($"checkpoint {reference} {checkpoint.Name} {checkpoint.Directory} {leaveRunning}");

    IReadOnlyList<string> IContainers.ListCheckpoints(string reference, string? directory) => KnownCheckpoints;

    Task IContainers.RemoveCheckpointAsync(string reference, CheckpointName checkpoint, CancellationToken cancellationToken) => Call($"rm checkpoint {reference} {checkpoint.Name} {checkpoint.Directory}");

    Task IContainers.StopAsync(string reference, int? timeoutSeconds, string? signal, CancellationToken cancellationToken) => Call($"stop {reference} {timeoutSeconds} {signal}");

    Task IContainers.RestartAsync(string reference, int? timeoutSeconds, string? signal, CancellationToken cancellationToken) => Call($"restart {reference} {timeoutSeconds} {signal}");

    Task IContainers.KillAsync(string reference, string? signal, CancellationToken cancellationToken) => Call($"kill {reference} {signal}");

    Task IContainers.PauseAsync(string reference, CancellationToken cancellationToken) => Call($"pause {reference}");

    Task IContainers.UnpauseAsync(string reference, CancellationToken cancellationToken) => Call($"unpause {reference}");

    Task IContainers.RemoveAsync(string reference, ContainerRemoveOptions options, CancellationToken cancellationToken) => Call($"remove {reference} {options.Force} {options.Volumes}");

    Task IContainers.RenameAsync(string reference, string newName, CancellationToken cancellationToken) => Call($"rename {reference} {newName}");

    Task IContainers.ResizeAsync(string reference, ushort rows, ushort columns, CancellationToken cancellationToken) => Call($"resize {reference} {rows} {columns}");

    Task<ContainerTop> IContainers.TopAsync(string reference, string psArguments, CancellationToken cancellationToken) =>
        Task.FromResult(new ContainerTop(["PID", "CMD"], [["1", psArguments]]));

    IAsyncEnumerable<ContainerStats> IContainers.Stats(string reference, StatsOptions options, CancellationToken cancellationToken) => throw NoContainer(reference);

    Task<ContainerUpdateResponse> IContainers.UpdateAsync(string reference, ContainerUpdateRequest change, CancellationToken cancellationToken) =>
        Task.FromResult(OnUpdate?.Invoke(reference, change) ?? throw NoContainer(reference));

    Task<StreamSession> IContainers.AttachAsync(string reference, AttachOptions options, CancellationToken cancellationToken) =>
        Task.FromResult(OnAttach?.Invoke(reference, options) ?? throw NoContainer(reference));

    ContainerWait IContainers.Wait(string reference, WaitCondition condition, CancellationToken cancellationToken) =>
        new(OnWait?.Invoke(reference, condition, cancellationToken) ?? throw NoContainer(reference));

    Task<LogSession> IContainers.LogsAsync(string reference, LogsOptions options, CancellationToken cancellationToken) =>
        Task.FromResult(OnLogs?.Invoke(options, cancellationToken) ?? throw NoContainer(reference));

    Task<IReadOnlyList<FilesystemChange>> IContainers.ChangesAsync(string reference, CancellationToken cancellationToken) => Task.FromResult(OnChanges(reference));

    Func<Stream, CancellationToken, Task> IContainers.Export(string reference) => OnExport?.Invoke(reference) ?? throw NoContainer(reference);

    Task<string> IContainers.CommitAsync(ContainerCommit commit, CancellationToken cancellationToken) =>
        Task.FromResult(OnCommit?.Invoke(commit) ?? throw NoContainer(commit.Container));

    Task<ContainerPathStat> IContainers.StatPathAsync(string reference, string path, CancellationToken cancellationToken) =>
        Task.FromResult(OnStatPath?.Invoke(path) ?? throw NoContainer(reference));

    Task<ContainerArchive> IContainers.CopyFromAsync(string reference, string path, CancellationToken cancellationToken) =>
        Task.FromResult(OnCopyFrom?.Invoke(path) ?? throw NoContainer(reference));

    Task IContainers.CopyToAsync(string reference, ContainerExtraction extraction, Stream tar, CancellationToken cancellationToken) =>
        OnCopyTo?.Invoke(extraction, tar) ?? throw NoContainer(reference);

    Task<ContainersPruneReport> IContainers.PruneAsync(Filters filters, CancellationToken cancellationToken) => Task.FromResult(new ContainersPruneReport(null, 0));

    Task<DiskUsage> IDisk.UsageAsync(DiskUsageTypes types, CancellationToken cancellationToken) => Task.FromResult(OnDiskUsage(types));

    Task<DiskLedger> IDisk.LedgerAsync(CancellationToken cancellationToken) => Task.FromResult(new DiskLedger { Total = 1 });

    VolumeList IVolumes.List(Filters filters) => new([], null);

    Task<Volume> IVolumes.CreateAsync(VolumeCreateRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(new Volume { Name = request.Name ?? "made-up", Labels = request.Labels, Options = request.DriverOpts });

    Volume IVolumes.Inspect(string name) => OnVolume?.Invoke(name) ?? throw new EngineException(ErrorKind.NotFound, $"get {name}: no such volume");

    /// <summary>Volumes that were judged, by name and incarnation.</summary>
    public List<string> JudgedVolumes { get; } = [];

    IVolumes IVolumes.Judged(Volume volume)
    {
        JudgedVolumes.Add($"{volume.Name} {volume.Incarnation}");
        return this;
    }

    Task IVolumes.RenameAsync(string name, string newName, CancellationToken cancellationToken) => Call($"rename volume {name} {newName}");

    Task<Volume> IVolumes.CopyAsync(string name, VolumeCopyRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(new Volume { Name = request.Name ?? $"{name}-copy", Labels = request.Labels });

    Func<Stream, CancellationToken, Task> IVolumes.Export(string name) => throw new EngineException(ErrorKind.NotFound, $"get {name}: no such volume");

    Task IVolumes.RemoveAsync(string name, bool force, CancellationToken cancellationToken) => Call($"remove volume {name} {force}");

    Task<VolumesPruneReport> IVolumes.PruneAsync(Filters filters, bool all, CancellationToken cancellationToken) => Task.FromResult(new VolumesPruneReport(all ? ["all"] : [], 0));

    IReadOnlyList<Secret> ISecrets.List(Filters filters) => KnownSecrets;

    Secret ISecrets.Inspect(string reference) => KnownSecrets.Find(secret => secret.Spec.Name == reference) ?? throw new EngineException(ErrorKind.NotFound, $"secret {reference} not found");

    Task<string> ISecrets.CreateAsync(SecretSpec spec, CancellationToken cancellationToken)
    {
        KnownSecrets.Add(new Secret { ID = spec.Name, Version = new ObjectVersion(1), CreatedAt = "", UpdatedAt = "", Spec = spec with { Data = null } });
        return Task.FromResult(spec.Name);
    }

    Task ISecrets.UpdateAsync(string reference, ulong version, SecretSpec spec, CancellationToken cancellationToken) => Call($"update secret {reference} {version}");

    Task ISecrets.RemoveAsync(string reference, CancellationToken cancellationToken) => Call($"remove secret {reference}");

    List<Network> INetworks.List(Filters filters) => [];

    Network INetworks.Inspect(string reference) => OnNetwork?.Invoke(reference) ?? throw new EngineException(ErrorKind.NotFound, $"network {reference} not found");

    Task<NetworkCreateResponse> INetworks.CreateAsync(NetworkCreateRequest request, CancellationToken cancellationToken) => Task.FromResult(new NetworkCreateResponse(Id, request.Labels?.GetValueOrDefault("team") ?? ""));

    Task INetworks.RemoveAsync(string reference, CancellationToken cancellationToken) => Call($"remove network {reference}");

    Task<NetworksPruneReport> INetworks.PruneAsync(Filters filters, CancellationToken cancellationToken) => Task.FromResult(new NetworksPruneReport(null));

    Task INetworks.ConnectAsync(string reference, NetworkConnectRequest request, CancellationToken cancellationToken) => Call($"connect {reference} {request.Container}");

    Task INetworks.DisconnectAsync(string reference, NetworkDisconnectRequest request, CancellationToken cancellationToken) => Call($"disconnect {reference} {request.Container}");

    Task<string> IContainers.ExplainAsync(string reference, CancellationToken cancellationToken) => Task.FromResult($"plan of {reference}\n");

    Task<string> IExecs.CreateAsync(string containerReference, ExecCreateRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(OnExecCreate?.Invoke(containerReference, request) ?? throw NoContainer(containerReference));

    Task IRegistries.PullAsync(ImagePullRequest pull, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken) => OnPull!(pull, progress, cancellationToken);

    Task IRegistries.PushAsync(ImagePushRequest push, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken) => OnPush!(push, progress, cancellationToken);

    Task<LoginAnswer> IRegistries.LoginAsync(RegistryCredentials credentials, CancellationToken cancellationToken) => Task.FromResult(OnLogin!(credentials));

    Task<DistributionInspect> IRegistries.InspectAsync(string reference, RegistryCredentials? credentials, CancellationToken cancellationToken) =>
        Task.FromResult(new DistributionInspect { Descriptor = new DistributionDescriptor { MediaType = reference, Digest = credentials?.Username ?? "", Size = 1 } });

    Task<IReadOnlyList<SearchResult>> IRegistries.SearchAsync(string term, int? limit, Filters filters, CancellationToken cancellationToken) => Task.FromResult(OnSearch!(term, limit, filters));

    Task<StreamSession?> IExecs.StartAsync(string execId, ExecStartRequest request, CancellationToken cancellationToken) =>
        Task.FromResult((OnExecStart ?? throw NoExec(execId)).Invoke(execId, request));

    bool IExecs.HasTerminal(string execId) => OnExecStart is null ? throw NoExec(execId) : ExecTerminal;

    ExecInspect IExecs.Inspect(string execId) => OnExecStart is null
        ? throw NoExec(execId)
        : new ExecInspect { ID = execId, ContainerID = Id, ProcessConfig = new ExecProcessConfig { Tty = ExecTerminal }, DetachKeys = ExecDetachKeys, ExitCode = 0 };

    Task IExecs.ResizeAsync(string execId, ushort rows, ushort columns, CancellationToken cancellationToken) => Call($"exec resize {execId} {rows} {columns}");

    IReadOnlyList<ImageSummary> IImages.List(bool all, Filters filters, bool sharedSize) => OnImages(all, filters);

    Task<ImagesPruneReport> IImages.PruneAsync(Filters filters, CancellationToken cancellationToken) => Task.FromResult(new ImagesPruneReport(null, 0));

    ImageInspect IImages.Inspect(string reference) => new() { Id = "sha256:" + Id, RepoTags = [reference] };

    IReadOnlyList<ImageHistoryItem> IImages.History(string reference) => [new ImageHistoryItem { Id = reference }];

    Task IImages.TagAsync(string reference, string repository, string? tag, CancellationToken cancellationToken) => Call($"tag {reference} {repository} {tag}");

    Task<IReadOnlyList<ImageDeleteItem>> IImages.RemoveAsync(string reference, bool force, bool prune, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<ImageDeleteItem>>([new ImageDeleteItem { Untagged = reference }]);

    Task IImages.LoadAsync(Stream archive, Platform? platform, bool quiet, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken) =>
        OnLoad!(archive, quiet, progress, cancellationToken);

    Task IImages.ImportAsync(ImageImport import, Stream archive, Func<ProgressMessage, ValueTask> progress, CancellationToken cancellationToken) =>
        OnImport!(import, archive, progress);

    Task<Func<Stream, CancellationToken, Task>> IImages.SaveAsync(IReadOnlyList<string> references, Platform? platform, CancellationToken cancellationToken) =>
        Task.FromResult(OnSave!(references));

    IAsyncEnumerable<EventMessage> IEvents.Subscribe(DateTimeOffset? since, DateTimeOffset? until, Filters filters, CancellationToken cancellationToken) =>
        OnEvents!(since, until, filters, cancellationToken);

    SystemInfo IDaemon.Info() => new() { ID = Id, ServerVersion = "0.1.0" };

    string IDaemon.Metrics() => "fake_up 1\n";

    SystemVersion IDaemon.Version(string apiVersion, string minApiVersion) => new() { ApiVersion = apiVersion, MinAPIVersion = minApiVersion };

    /// <summary>A process at the far end of a socket pair, for sessions.</summary>
    /// <param name="process">Gets the process' side: what is read is stdin, what is written is output.</param>
    public static StreamSession Session(bool terminal, Func<Socket, Task> process)
    {
        (Socket near, Socket far) = SocketPair();
        Task running = Task.Run(async () =>
        {
            using (far)
            {
                await process(far);
            }
        });
        return new StreamSession(new NetworkStream(near, ownsSocket: true), terminal, () =>
        {
            near.Shutdown(SocketShutdown.Send);
            return ValueTask.CompletedTask;
        });
    }

    private static (Socket Near, Socket Far) SocketPair()
    {
        string path = Path.Combine(Path.GetTempPath(), $"slipway-pair-{Guid.NewGuid():N}.sock");
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        Socket near = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        near.Connect(new UnixDomainSocketEndPoint(path));
        Socket far = listener.Accept();
        File.Delete(path);
        return (near, far);
    }

    private static EngineException NoContainer(string reference) => new(ErrorKind.NotFound, $"No such container: {reference}");

    private static EngineException NoExec(string id) => new(ErrorKind.NotFound, $"No such exec instance: {id}");

    private Task Call(string call)
    {
        lock (Calls)
        {
            Calls.Add(call);
        }

        return Task.CompletedTask;
    }
}
