using Slipway.Api.Containers;
using Slipway.Oci;

namespace Slipway.Engine.Containers.Create;

/// <summary>What a container's configuration gets from its image where the request says nothing.</summary>
internal static class ImageDefaults
{
    /// <summary>A new configuration; neither argument is changed, and no collection is shared with the request.</summary>
    public static ContainerConfig Merge(ContainerConfig request, ImageRunConfig? image)
    {
        image ??= new ImageRunConfig();
        bool commandGiven = request.Cmd is { Count: > 0 };
        bool entrypointGiven = request.Entrypoint is { Count: > 0 };
        ContainerConfig merged = new()
        {
            Hostname = request.Hostname,
            Domainname = request.Domainname,
            User = request.User.Length > 0 ? request.User : image.User ?? "",
            AttachStdin = request.AttachStdin,
            AttachStdout = request.AttachStdout,
            AttachStderr = request.AttachStderr,
            ExposedPorts = Union(request.ExposedPorts, image.ExposedPorts?.Keys),
            Tty = request.Tty,
            OpenStdin = request.OpenStdin,
            StdinOnce = request.StdinOnce,
            Env = Environment(request.Env, image.Env),

            // A command of the request's own entrypoint does not take the image's arguments (`docker run --entrypoint`).
            Cmd = commandGiven ? [.. request.Cmd!] : entrypointGiven ? null : image.Cmd?.ToList(),
            Entrypoint = request.Entrypoint is null ? image.Entrypoint?.ToList() : [.. request.Entrypoint],
            Healthcheck = Health(request.Healthcheck, image.Healthcheck),
            Image = request.Image,
            Volumes = Union(request.Volumes, image.Volumes?.Keys),
            WorkingDir = request.WorkingDir.Length > 0 ? request.WorkingDir : image.WorkingDir ?? "",
            NetworkDisabled = request.NetworkDisabled,
            MacAddress = request.MacAddress,
            OnBuild = request.OnBuild,
            Labels = Labels(request.Labels, image.Labels),
            StopSignal = string.IsNullOrEmpty(request.StopSignal) ? image.StopSignal : request.StopSignal,
            StopTimeout = request.StopTimeout ?? image.StopTimeout,
            Shell = request.Shell ?? image.Shell?.ToList(),
        };

        // `--entrypoint ""` asks for none.
        if (merged.Entrypoint is [""])
        {
            merged.Entrypoint = null;
        }

        if (merged.Entrypoint is null or [] && merged.Cmd is null or [])
        {
            throw ContainerErrors.Invalid("no command specified");
        }

        return merged;
    }

    private static Dictionary<string, Slipway.Api.Containers.EmptyObject>? Union(
        Dictionary<string, Slipway.Api.Containers.EmptyObject>? request, IEnumerable<string>? image)
    {
        if (request is null && image is null)
        {
            return null;
        }

        Dictionary<string, Slipway.Api.Containers.EmptyObject> union = request is null ? [] : new(request);
        foreach (string key in image ?? [])
        {
            union.TryAdd(key, new Slipway.Api.Containers.EmptyObject());
        }

        return union.Count == 0 ? null : union;
    }

    private static List<string>? Environment(List<string>? request, IReadOnlyList<string>? image)
    {
        if (request is null or [])
        {
            return image?.ToList() ?? request;
        }

        HashSet<string> given = [.. request.Select(Name)];
        return [.. request, .. (image ?? []).Where(entry => !given.Contains(Name(entry)))];

        static string Name(string entry) => entry.Split('=', 2)[0];
    }

    private static Dictionary<string, string> Labels(Dictionary<string, string>? request, IReadOnlyDictionary<string, string>? image)
    {
        Dictionary<string, string> labels = request is null ? [] : new(request);
        foreach ((string key, string value) in image ?? new Dictionary<string, string>())
        {
            labels.TryAdd(key, value);
        }

        return labels;
    }

    private static HealthConfig? Health(HealthConfig? request, Healthcheck? image)
    {
        if (image is null)
        {
            return request;
        }

        request ??= new HealthConfig();
        return new HealthConfig
        {
            Test = request.Test is { Count: > 0 } ? request.Test : image.Test?.ToList(),
            Interval = request.Interval != 0 ? request.Interval : image.Interval,
            Timeout = request.Timeout != 0 ? request.Timeout : image.Timeout,
            StartPeriod = request.StartPeriod != 0 ? request.StartPeriod : image.StartPeriod,
            StartInterval = request.StartInterval != 0 ? request.StartInterval : image.StartInterval,
            Retries = request.Retries != 0 ? request.Retries : image.Retries,
        };
    }
}
