using System.Globalization;
using Slipway.Api;
using Slipway.Api.Containers;
using Slipway.Api.Images;
using Slipway.Oci;
using Slipway.Storage.Images;

namespace Slipway.Engine.Images;

/// <summary>Images as the API shows them.</summary>
internal static class ImageShapes
{
    /// <summary>What Docker shows for the steps of a history whose images are not kept.</summary>
    private const string Missing = "<missing>";

    public static ImageSummary Summary(Image image) => new()
    {
        Id = image.Id.ToString(),
        RepoTags = [.. image.RepoTags],
        RepoDigests = [.. image.RepoDigests],
        Created = image.Created.ToUnixTimeSeconds(),
        Size = image.Size,
        Labels = image.Config.Config?.Labels is { } labels ? new Dictionary<string, string>(labels) : null,
    };

    public static ImageInspect Inspect(Image image) => new()
    {
        Id = image.Id.ToString(),
        RepoTags = [.. image.RepoTags],
        RepoDigests = [.. image.RepoDigests],

        // Docker says of an image what its last step said.
        Comment = image.Config.Comment is { Length: > 0 } comment ? comment : image.Config.History is [.., { Comment: { } last }] ? last : "",
        Created = image.Config.Created,
        DockerVersion = image.Config.DockerVersion ?? "",
        Author = image.Config.Author ?? "",
        Config = Config(image.Config.Config),
        Architecture = image.Config.Architecture,
        Variant = image.Config.Variant,
        Os = image.Config.Os,
        OsVersion = image.Config.OsVersion,
        Size = image.Size,
        RootFS = new RootFS { Type = image.Config.RootFs?.Type ?? "layers", Layers = [.. image.Layers.Select(layer => layer.DiffId.ToString())] },
        Metadata = new ImageMetadata { LastTagTime = Rfc3339.Format(image.LastTagTime) },
    };

    /// <summary>Newest step first. Sizes belong to the steps that made a layer, in the order of the layers.</summary>
    public static List<ImageHistoryItem> History(Image image)
    {
        List<ImageHistoryItem> items = [];
        int layer = 0;
        foreach (ImageHistory step in image.Config.History ?? [])
        {
            items.Add(new ImageHistoryItem
            {
                Id = Missing,
                Created = UnixSeconds(step.Created),
                CreatedBy = step.CreatedBy ?? "",
                Size = !step.EmptyLayer && layer < image.Layers.Count ? image.Layers[layer++].Size : 0,
                Comment = step.Comment ?? "",
            });
        }

        items.Reverse();
        if (items.Count > 0)
        {
            items[0].Id = image.Id.ToString();
            items[0].Tags = image.RepoTags.Count > 0 ? [.. image.RepoTags] : null;
        }

        return items;
    }

    public static ContainerConfig Config(ImageRunConfig? config) => config is null ? new ContainerConfig() : new ContainerConfig
    {
        Hostname = config.Hostname ?? "",
        Domainname = config.Domainname ?? "",
        User = config.User ?? "",
        AttachStdin = config.AttachStdin ?? false,
        AttachStdout = config.AttachStdout ?? false,
        AttachStderr = config.AttachStderr ?? false,
        ExposedPorts = Keys(config.ExposedPorts),
        Tty = config.Tty ?? false,
        OpenStdin = config.OpenStdin ?? false,
        StdinOnce = config.StdinOnce ?? false,
        Env = List(config.Env),
        Cmd = List(config.Cmd),
        Healthcheck = config.Healthcheck is not { } check ? null : new HealthConfig
        {
            Test = List(check.Test),
            Interval = check.Interval,
            Timeout = check.Timeout,
            Retries = check.Retries,
            StartPeriod = check.StartPeriod,
            StartInterval = check.StartInterval,
        },
        ArgsEscaped = config.ArgsEscaped ?? false,
        Image = config.Image ?? "",
        Volumes = Keys(config.Volumes),
        WorkingDir = config.WorkingDir ?? "",
        Entrypoint = List(config.Entrypoint),
        NetworkDisabled = config.NetworkDisabled ?? false,
        MacAddress = config.MacAddress,
        OnBuild = List(config.OnBuild),
        Labels = config.Labels is { } labels ? new Dictionary<string, string>(labels) : null,
        StopSignal = config.StopSignal,
        StopTimeout = config.StopTimeout,
        Shell = List(config.Shell),
    };

    private static List<string>? List(IReadOnlyList<string>? values) => values is null ? null : [.. values];

    private static Dictionary<string, Api.Containers.EmptyObject>? Keys(IReadOnlyDictionary<string, Oci.EmptyObject>? keys) =>
        keys?.Keys.ToDictionary(key => key, _ => new Api.Containers.EmptyObject());

    /// <summary>0 where the image says nothing that can be read.</summary>
    private static long UnixSeconds(string? created) =>
        DateTimeOffset.TryParse(created, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time) ? time.ToUnixTimeSeconds() : 0;
}
