using Slipway.Build.Graph;

namespace Slipway.Engine.Builds.History;

/// <summary>What is remembered of a request.</summary>
internal static class RequestAttributes
{
    private const int MaxCount = 200;
    private const int MaxLength = 1024;

    public static Dictionary<string, string> Of(BuildRequest request)
    {
        Dictionary<string, string> attributes = new(StringComparer.Ordinal);
        Add("filename", request.Dockerfile switch { DockerfileFile file => file.Path, InlineDockerfile text => text.Name, _ => null });
        Add("target", request.Target);
        Add("platform", string.Join(',', request.Platforms));
        Add("context", (request.Context as RemoteContext)?.Address is { } address ? WithoutUser(address) : null);
        Add("no-cache", request.NoCache ? "true" : null);
        foreach ((string name, string? value) in request.Arguments.Where(argument => !BuildArguments.IsProxy(argument.Key)))
        {
            Add($"build-arg:{name}", value);
        }

        foreach ((string name, string value) in request.Labels)
        {
            Add($"label:{name}", value);
        }

        return attributes;

        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value) && name.Length <= MaxLength && attributes.Count < MaxCount)
            {
                attributes[name] = value.Length <= MaxLength ? value : value[..MaxLength] + "…";
            }
        }
    }

    public static IReadOnlyList<string> Names(BuildRequest request) =>
        [.. request.Outputs.SelectMany(output => output switch { ImageOutput image => image.Names, ArchiveOutput archive => archive.Names, LayoutOutput layout => layout.Names, _ => [] }).Select(name => name.Familiar).Distinct().Take(MaxCount)];

    /// <summary>An address may have a password before its host.</summary>
    private static string WithoutUser(string address)
    {
        int start = address.IndexOf("://", StringComparison.Ordinal);
        if (start < 0)
        {
            return address;
        }

        start += 3;
        int end = address.IndexOfAny(['/', '?', '#'], start);
        int user = address.LastIndexOf('@', end < 0 ? address.Length - 1 : end);
        return user < start ? address : address[..start] + address[(user + 1)..];
    }
}
