using System.CommandLine;
using Slipway.Api.Containers;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway port</c>.</summary>
internal static class PortCommand
{
    public static Command Create()
    {
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Argument<string?> port = new("PRIVATE_PORT[/PROTO]") { Arity = ArgumentArity.ZeroOrOne };
        Command command = new("port", "List port mappings or a specific mapping for the container") { container, port };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            string name = result.GetValue(container)!;
            ContainerInspect inspect = await client.InspectContainerAsync(name, cancellationToken).ConfigureAwait(false);
            Dictionary<string, List<PortBinding>?> published = inspect.NetworkSettings.Ports ?? [];
            foreach (string line in result.GetValue(port) is { } wanted ? Of(published, name, wanted) : All(published))
            {
                Console.WriteLine(line);
            }

            return 0;
        });
        return command;
    }

    private static IEnumerable<string> Of(Dictionary<string, List<PortBinding>?> published, string container, string port)
    {
        string key = port.Contains('/', StringComparison.Ordinal) ? port : port + "/tcp";
        return published.TryGetValue(key, out List<PortBinding>? bindings) && bindings is { Count: > 0 }
            ? bindings.Select(Address).Order(StringComparer.Ordinal)
            : throw new CommandException($"Error: No public port '{key}' published for {container}", 1);
    }

    private static IEnumerable<string> All(Dictionary<string, List<PortBinding>?> published) => published
        .SelectMany(pair => (pair.Value ?? []).Select(binding => (Port: pair.Key, Line: $"{pair.Key} -> {Address(binding)}")))
        .OrderBy(line => int.Parse(line.Port.Split('/')[0], System.Globalization.CultureInfo.InvariantCulture)).ThenBy(line => line.Line, StringComparer.Ordinal).Select(line => line.Line);

    private static string Address(PortBinding binding) =>
        binding.HostIp.Contains(':', StringComparison.Ordinal) ? $"[{binding.HostIp}]:{binding.HostPort}" : $"{binding.HostIp}:{binding.HostPort}";
}
