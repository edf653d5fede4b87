using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.Launch;
using Slipway.Engine.Containers.Links;
using Slipway.Engine.Containers.State;
using Slipway.Storage.Images;

namespace Slipway.Engine.Containers.Listing;

/// <summary><c>docker inspect</c> of a container.</summary>
internal sealed class Inspection(EngineServices services, ContainerLinks links)
{
    public ContainerInspect Of(ContainerSnapshot container, bool size, List<string>? execIds)
    {
        string directory = services.ContainerDirectory(container.Id);
        bool ran = container.State.StartedAt is not null;
        List<string> command = [.. container.Config.Entrypoint ?? [], .. container.Config.Cmd ?? []];
        Image? image = services.Data.Images.Find(container.ImageId);
        long? upper = size ? services.Data.Snapshots.UpperSize(container.Id) : null;
        return new ContainerInspect
        {
            Id = container.Id,
            Created = Rfc3339.Format(container.Created),
            Path = command[0],
            Args = command[1..],
            State = State(container.State),
            Image = container.ImageId,
            ResolvConfPath = ran ? $"{directory}/{NetworkFiles.ResolvConf}" : "",
            HostnamePath = ran ? $"{directory}/{NetworkFiles.Hostname}" : "",
            HostsPath = ran ? $"{directory}/{NetworkFiles.Hosts}" : "",
            LogPath = ran && container.HostConfig.LogConfig.Type == LogOptions.JsonFile ? ContainerLog.Path(directory, container.Id) : "",
            Name = "/" + container.Name,
            RestartCount = container.State.RestartCount,
            ExecIDs = execIds,
            HostConfig = container.HostConfig with { Links = links.Show(container) },
            GraphDriver = new GraphDriverData
            {
                Data = new Dictionary<string, string>
                {
                    ["LowerDir"] = string.Join(':', (image?.ChainIds ?? []).Reverse().Select(chain => $"{services.Options.DataRoot}/layers/{chain.Hex}/diff")),
                    ["MergedDir"] = "",
                    ["UpperDir"] = $"{directory}/upper",
                    ["WorkDir"] = $"{directory}/work",
                },
            },
            SizeRw = upper,
            SizeRootFs = size ? upper + (image?.Size ?? 0) : null,
            Mounts = MountView.Of(container),
            Config = container.Config,
            NetworkSettings = NetworkView.Settings(container, services),
        };
    }

    private static ContainerState State(RunState state) => new()
    {
        Status = state.Phase.Word(),
        Running = state.IsRunning,
        Paused = state.Phase == ContainerPhase.Paused,
        Restarting = state.Phase == ContainerPhase.Restarting,
        OOMKilled = state.OomKilled,
        Dead = state.Phase == ContainerPhase.Dead,
        Pid = state.Pid,
        ExitCode = state.ExitCode,
        Error = state.Error,
        StartedAt = Rfc3339.Format(state.StartedAt),
        FinishedAt = Rfc3339.Format(state.FinishedAt),
        Health = state.Health?.ToApi(),
    };
}
