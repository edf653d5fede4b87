using Slipway.Api.Containers;
using Slipway.Engine.Containers.Create;

namespace Slipway.Engine.Containers.Update;

/// <summary>A container's configuration changed by an update: environment and labels, which count from the next start and at once.</summary>
internal static class ConfigUpdate
{
    /// <summary>The configuration with what the request sets and takes away; neither argument is changed.</summary>
    /// <exception cref="EngineException">InvalidParameter.</exception>
    public static ContainerConfig Merge(ContainerConfig current, ContainerUpdateRequest change) => current with
    {
        Env = change.Env is { Count: > 0 } variables ? Environment(current.Env, variables) : current.Env,
        Labels = change.Labels is { Count: > 0 } || change.LabelsRemove is { Count: > 0 } ? Labels(current.Labels, change) : current.Labels,
    };

    private static List<string> Environment(List<string>? current, List<string> changes)
    {
        List<string> environment = [.. current ?? []];
        foreach (string change in changes)
        {
            string name = Name(change);
            if (name.Length == 0 || change.Contains('\0', StringComparison.Ordinal))
            {
                throw ContainerErrors.Invalid($"invalid environment variable: {change}");
            }

            int index = environment.FindIndex(entry => Name(entry) == name);
            bool sets = change.Contains('=', StringComparison.Ordinal);
            if (index < 0 && sets)
            {
                environment.Add(change);
            }
            else if (index >= 0 && sets)
            {
                environment[index] = change;
            }
            else if (index >= 0)
            {
                environment.RemoveAt(index);
            }
        }

        return environment;
    }

    private static string Name(string entry) => entry.Split('=', 2)[0];

    private static Dictionary<string, string> Labels(Dictionary<string, string>? current, ContainerUpdateRequest change)
    {
        Dictionary<string, string> labels = new(current ?? []);
        foreach (string key in change.LabelsRemove ?? [])
        {
            labels.Remove(key);
        }

        foreach ((string key, string value) in change.Labels ?? [])
        {
            labels[key] = key.Length > 0 ? value : throw ContainerErrors.Invalid("a label needs a key");
        }

        return labels;
    }
}
