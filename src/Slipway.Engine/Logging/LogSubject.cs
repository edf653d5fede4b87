using System.Text;
using System.Text.RegularExpressions;
using Slipway.Engine.Containers.State;
using Slipway.Runtime.Logs;

namespace Slipway.Engine.Logging;

/// <summary>The container whose output is logged, as drivers tell it to their receivers, and the driver's options.</summary>
internal sealed record LogSubject
{
    private static readonly string[] s_attributed = ["labels", "labels-regex", "env", "env-regex", "tag"];

    private static readonly TimeSpan s_matchTimeout = TimeSpan.FromSeconds(1);

    public required string Id { get; init; }

    /// <summary>Without a leading slash.</summary>
    public required string Name { get; init; }

    /// <summary>With <c>sha256:</c>.</summary>
    public required string ImageId { get; init; }

    public required string ImageName { get; init; }

    /// <summary>Entry point and command, separated by spaces.</summary>
    public required string Command { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    /// <summary><c>NAME=value</c>.</summary>
    public required IReadOnlyList<string> Environment { get; init; }

    public required IReadOnlyDictionary<string, string> Options { get; init; }

    public static LogSubject Of(ContainerSnapshot container) => new()
    {
        Id = container.Id,
        Name = container.Name,
        ImageId = container.ImageId,
        ImageName = container.Config.Image,
        Command = string.Join(' ', [.. container.Config.Entrypoint ?? [], .. container.Config.Cmd ?? []]),
        Created = container.Created,
        Labels = container.Config.Labels ?? [],
        Environment = container.Config.Env ?? [],
        Options = container.HostConfig.LogConfig.Config ?? [],
    };

    public string? Option(string name) => Options.TryGetValue(name, out string? value) && value.Length > 0 ? value : null;

    public string Tag() => TagTemplate.Render(Option("tag") ?? TagTemplate.Default, this);

    /// <summary>What each record of a json-file log has besides: the attributes, and the tag where one is named.</summary>
    /// <exception cref="EngineException">InvalidParameter: more than a record may carry.</exception>
    public string RecordedAttributes()
    {
        if (!s_attributed.Any(option => Option(option) is not null))
        {
            return "";
        }

        string text = LogAttributes.Encode(Details());
        int length = Encoding.UTF8.GetByteCount(text);
        return length <= LogAttributes.MaxLength ? text
            : throw new EngineException(ErrorKind.InvalidParameter, $"the labels, variables and tag of each log record would take {length} bytes, more than {LogAttributes.MaxLength}: name fewer in log-opts");
    }

    /// <summary><see cref="Attributes"/>, and the tag where one is named.</summary>
    public SortedDictionary<string, string> Details()
    {
        SortedDictionary<string, string> details = Attributes();
        if (Option("tag") is not null)
        {
            details["tag"] = Tag();
        }

        return details;
    }

    /// <summary>
    /// The labels and variables that <c>labels</c>, <c>labels-regex</c>, <c>env</c> and <c>env-regex</c> name, by key in order.
    /// </summary>
    public SortedDictionary<string, string> Attributes()
    {
        SortedDictionary<string, string> attributes = new(StringComparer.Ordinal);
        Dictionary<string, string> variables = new(StringComparer.Ordinal);
        foreach (string entry in Environment)
        {
            if (entry.IndexOf('=', StringComparison.Ordinal) is > 0 and int equals)
            {
                variables[entry[..equals]] = entry[(equals + 1)..];
            }
        }

        Add(Labels, Option("labels"), Option("labels-regex"));
        Add(variables, Option("env"), Option("env-regex"));
        return attributes;

        void Add(IReadOnlyDictionary<string, string> values, string? names, string? pattern)
        {
            foreach (string name in names?.Split(',') ?? [])
            {
                if (values.TryGetValue(name, out string? value))
                {
                    attributes[name] = value;
                }
            }

            if (pattern is not null)
            {
                Regex regex = new(pattern, RegexOptions.CultureInvariant, s_matchTimeout);
                foreach ((string name, string value) in values)
                {
                    if (regex.IsMatch(name))
                    {
                        attributes[name] = value;
                    }
                }
            }
        }
    }
}
