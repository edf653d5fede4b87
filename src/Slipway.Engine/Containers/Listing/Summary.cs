using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers.Listing;

/// <summary>
/// Items of <c>docker ps</c>. What is listed again and looks as it did is the same object again, so that who writes it out can keep that too: it must
/// not be changed.
/// </summary>
/// <param name="linkNames">The names that links give to containers, by id.</param>
internal sealed class Summary(EngineServices services, ILookup<string, string> linkNames)
{
    private static readonly SearchValues<char> ShellCharacters = SearchValues.Create(" \t\n'\"\\|&;<>()$`*?[]#~=%!{}");

    /// <summary>What was listed last of a container in this state. The rest of a summary follows from the snapshot alone.</summary>
    private static readonly ConditionalWeakTable<ContainerSnapshot, ContainerSummary> s_listed = [];

    private readonly DateTimeOffset _now = services.Time.GetUtcNow();
    private readonly Dictionary<string, string?> _imageIds = [];

    public ContainerSummary Of(ContainerSnapshot container, bool size)
    {
        string image = ImageName(container);
        string status = StatusText.Of(container.State, _now);
        if (size)
        {
            return Make(container, image, status, size);
        }

        bool known = s_listed.TryGetValue(container, out ContainerSummary? summary) && summary.Image == image && summary.Names.Skip(1).SequenceEqual(linkNames[container.Id]);
        if (known && summary!.Status == status)
        {
            return summary;
        }

        summary = known ? summary! with { Status = status } : Make(container, image, status, size);
        s_listed.AddOrUpdate(container, summary);
        return summary;
    }

    private ContainerSummary Make(ContainerSnapshot container, string image, string status, bool size) => new()
    {
        Id = container.Id,
        Names = ["/" + container.Name, .. linkNames[container.Id]],
        Image = image,
        ImageID = container.ImageId,
        Command = Command(container.Config),
        Created = container.Created.ToUnixTimeSeconds(),
        Ports = Ports(container),
        SizeRw = size ? services.Data.Snapshots.UpperSize(container.Id) : null,
        SizeRootFs = size ? services.Data.Snapshots.UpperSize(container.Id) + (services.Data.Images.Find(container.ImageId)?.Size ?? 0) : null,
        Labels = container.Config.Labels ?? [],
        State = container.State.Phase.Word(),
        Status = status,
        HostConfig = new SummaryHostConfig { NetworkMode = container.HostConfig.NetworkMode, Annotations = container.HostConfig.Annotations },
        NetworkSettings = new SummaryNetworkSettings { Networks = NetworkView.Networks(container, services) },
        Mounts = MountView.Of(container),
    };

    /// <summary>The command line, arguments quoted where a shell would need it.</summary>
    internal static string Command(ContainerConfig config) => string.Join(' ', (config.Entrypoint ?? []).Concat(config.Cmd ?? []).Select(Quote));

    private static string Quote(string argument)
    {
        if (argument.Length > 0 && !argument.AsSpan().ContainsAny(ShellCharacters))
        {
            return argument;
        }

        // Docker quotes as strconv/shellquote do: single quotes, a single quote itself outside of them.
        return new StringBuilder("'").Append(argument.Replace("'", "'\\''", StringComparison.Ordinal)).Append('\'').ToString();
    }

    /// <summary>The name the container was made from, while it still names that image; else the image's id.</summary>
    private string ImageName(ContainerSnapshot container)
    {
        string name = container.Config.Image;
        if (!_imageIds.TryGetValue(name, out string? id))
        {
            _imageIds[name] = id = services.Data.Images.Find(name)?.Id.ToString();
        }

        return id == container.ImageId ? name : container.ImageId;
    }

    private static List<PortSummary> Ports(ContainerSnapshot container)
    {
        StoredEndpoint[] endpoints = [.. container.State.Attached.All.Select(entry => entry.Value)];
        if (endpoints.Length == 0)
        {
            return [];
        }

        List<PortSummary> ports = [.. endpoints.SelectMany(endpoint => endpoint.Ports).Select(port => new PortSummary
        {
            IP = port.HostAddress, PrivatePort = port.ContainerPort, PublicPort = port.HostPort, Type = PortSpecs.Word(port.Protocol),
        })];
        HashSet<(ushort, string)> published = [.. ports.Select(port => (port.PrivatePort, port.Type))];
        foreach ((ushort port, Networking.PortProtocol protocol) in PortSpecs.Exposed(container.Config))
        {
            if (!published.Contains((port, PortSpecs.Word(protocol))))
            {
                ports.Add(new PortSummary { PrivatePort = port, Type = PortSpecs.Word(protocol) });
            }
        }

        return ports;
    }
}
