using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Slipway.Api.Containers;
using Slipway.Api.Networks;
using Slipway.Cli.Options;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway network</c>: docker's verbs, and the picture of a network.</summary>
internal static class NetworkCommands
{
    public static Command Create() => new("network", "Manage networks")
    {
        CreateConnect(),
        CreateCreate(),
        CreateDisconnect(),
        CreateInspect(),
        CreateList(),
        PruneCommands.CreateNetworks(),
        CreateRemove(),
    };

    private static Command CreateCreate()
    {
        Option<string> driver = new("--driver", "-d") { Description = "Driver to manage the network", DefaultValueFactory = _ => "bridge" };
        Option<string[]> option = new("--opt", "-o") { Description = "Set driver specific options" };
        Option<string[]> label = new("--label") { Description = "Set metadata on a network" };
        Option<string[]> subnet = new("--subnet") { Description = "Subnet in CIDR format that represents a network segment" };
        Option<string[]> gateway = new("--gateway") { Description = "IPv4 or IPv6 gateway for a subnet" };
        Option<string[]> range = new("--ip-range") { Description = "Allocate container IPs from a sub-range" };
        Option<string[]> auxiliary = new("--aux-address") { Description = "Auxiliary addresses no container gets (NAME=ADDRESS)" };
        Option<bool> isInternal = new("--internal") { Description = "Restrict external access to the network" };
        Option<bool> attachable = new("--attachable") { Description = "Enable manual container attachment" };
        Option<bool> ipv6 = new("--ipv6") { Description = "Enable IPv6 address assignment" };
        Argument<string> name = new("NETWORK");
        Command command = new("create", "Create a network") { driver, option, label, subnet, gateway, range, auxiliary, isInternal, attachable, ipv6, name };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            NetworkCreateRequest request = new()
            {
                Name = result.GetValue(name)!,
                Driver = result.GetValue(driver)!,
                Options = KeyValues.Pairs(result.GetValue(option) ?? []),
                Labels = KeyValues.Pairs(result.GetValue(label) ?? []),
                Internal = result.GetValue(isInternal),
                Attachable = result.GetValue(attachable),
                EnableIPv6 = result.GetValue(ipv6) ? true : null,
                IPAM = new IPAM
                {
                    Config = Subnets(
                        result.GetValue(subnet) ?? [], result.GetValue(gateway) ?? [], result.GetValue(range) ?? [], KeyValues.Pairs(result.GetValue(auxiliary) ?? [])),
                },
            };
            NetworkCreateResponse made = await client.CreateNetworkAsync(request, cancellationToken).ConfigureAwait(false);
            Console.WriteLine(made.Id);
            return 0;
        });
        return command;
    }

    private static Command CreateConnect()
    {
        Option<string[]> alias = new("--alias") { Description = "Add network-scoped alias for the container" };
        Option<string?> ip = new("--ip") { Description = "IPv4 address (e.g., \"172.30.100.104\")" };
        Option<string?> ip6 = new("--ip6") { Description = "IPv6 address (e.g., \"2001:db8::33\")" };
        Option<string[]> link = new("--link") { Description = "Add link to another container" };
        Option<string[]> option = new("--driver-opt") { Description = "Driver options for the network" };
        Option<int> priority = new("--gw-priority") { Description = "Highest gw-priority provides the default gateway. Accepts positive and negative values" };
        Argument<string> network = new("NETWORK");
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Command command = new("connect", "Connect a container to a network") { alias, ip, ip6, link, option, priority, network, container };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            NetworkConnectRequest request = new()
            {
                Container = result.GetValue(container)!,
                EndpointConfig = new EndpointSettings
                {
                    IPAMConfig = new EndpointIPAMConfig { IPv4Address = result.GetValue(ip), IPv6Address = result.GetValue(ip6) },
                    Aliases = [.. result.GetValue(alias) ?? []],
                    Links = [.. result.GetValue(link) ?? []],
                    DriverOpts = KeyValues.Pairs(result.GetValue(option) ?? []),
                    GwPriority = result.GetValue(priority),
                },
            };
            await client.ConnectNetworkAsync(result.GetValue(network)!, request, cancellationToken).ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    private static Command CreateDisconnect()
    {
        Option<bool> force = new("--force", "-f") { Description = "Force the container to disconnect from a network" };
        Argument<string> network = new("NETWORK");
        Argument<string> container = new("CONTAINER") { CompletionSources = { Completion.Containers } };
        Command command = new("disconnect", "Disconnect a container from a network") { force, network, container };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            NetworkDisconnectRequest request = new() { Container = result.GetValue(container)!, Force = result.GetValue(force) };
            await client.DisconnectNetworkAsync(result.GetValue(network)!, request, cancellationToken).ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    private static Command CreateInspect()
    {
        Option<string?> format = new("--format", "-f") { Description = "Format output: 'json' or a Go template" };
        Option<bool> diagram = new("--diagram") { Description = "Draw a picture of the network" };
        Argument<string[]> networks = Networks();
        Command command = new("inspect", "Display detailed information on one or more networks") { format, diagram, networks };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            if (result.GetValue(diagram))
            {
                return await EngineCommand.ForEachAsync(
                    result.GetValue(networks)!,
                    async name =>
                    {
                        Network network = await client.InspectNetworkAsync(name, cancellationToken).ConfigureAwait(false);
                        List<ContainerInspect> containers = [];
                        foreach (string id in network.Containers.Keys)
                        {
                            containers.Add(await client.InspectContainerAsync(id, cancellationToken).ConfigureAwait(false));
                        }

                        Console.Write(NetworkDiagram.Draw(network, containers));
                    },
                    print: false).ConfigureAwait(false);
            }

            JsonArray found = [];
            int exitCode = await EngineCommand.ForEachAsync(
                result.GetValue(networks)!,
                async name => found.Add(JsonNode.Parse(await client.InspectNetworkRawAsync(name, cancellationToken).ConfigureAwait(false))),
                print: false).ConfigureAwait(false);
            InspectCommand.Print(found, result.GetValue(format));
            return exitCode;
        });
        return command;
    }

    private static Command CreateList()
    {
        Option<string[]> filter = new("--filter", "-f") { Description = "Provide filter values (e.g. \"driver=bridge\")" };
        Option<string?> format = new("--format") { Description = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template" };
        Option<bool> full = new("--no-trunc") { Description = "Do not truncate the output" };
        Option<bool> quiet = new("--quiet", "-q") { Description = "Only display network IDs" };
        Command command = new("ls", "List networks") { filter, format, full, quiet };
        command.Aliases.Add("list");
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Listing listing = new(("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope"));
            foreach (Network network in await client.ListNetworksAsync(EngineCommand.Filters(result.GetValue(filter)), cancellationToken).ConfigureAwait(false))
            {
                listing.Add(new JsonObject
                {
                    ["CreatedAt"] = network.Created,
                    ["Driver"] = network.Driver,
                    ["ID"] = result.GetValue(full) ? network.Id : network.Id[..12],
                    ["IPv6"] = network.EnableIPv6 ? "true" : "false",
                    ["Internal"] = network.Internal ? "true" : "false",
                    ["Labels"] = string.Join(',', (network.Labels ?? []).Select(pair => $"{pair.Key}={pair.Value}")),
                    ["Name"] = network.Name,
                    ["Scope"] = network.Scope,
                });
            }

            listing.WriteTo(Console.Out, result.GetValue(format), result.GetValue(quiet), "ID");
            return 0;
        });
        return command;
    }

    private static Command CreateRemove()
    {
        Argument<string[]> networks = Networks();
        Command command = new("rm", "Remove one or more networks") { networks };
        command.Aliases.Add("remove");
        command.SetEngineAction((result, client, cancellationToken) =>
            EngineCommand.ForEachAsync(result.GetValue(networks)!, name => client.RemoveNetworkAsync(name, cancellationToken)));
        return command;
    }

    private static Argument<string[]> Networks() => new("NETWORK") { Arity = ArgumentArity.OneOrMore };

    /// <summary>Brings gateways, ranges and reserved addresses together with the subnets they are of.</summary>
    /// <exception cref="CommandException">One is of none.</exception>
    private static List<IPAMConfig> Subnets(string[] subnets, string[] gateways, string[] ranges, Dictionary<string, string> auxiliary)
    {
        List<IPAMConfig> configs = [.. subnets.Select(subnet => new IPAMConfig { Subnet = subnet })];
        foreach (string gateway in gateways)
        {
            Of(configs, "gateway", gateway).Gateway = gateway;
        }

        foreach (string range in ranges)
        {
            Of(configs, "range", range).IPRange = range;
        }

        foreach ((string name, string address) in auxiliary)
        {
            (Of(configs, "aux-address", address).AuxiliaryAddresses ??= [])[name] = address;
        }

        return configs;
    }

    private static IPAMConfig Of(List<IPAMConfig> configs, string what, string text) =>
        configs.FirstOrDefault(config => IPNetwork.TryParse(config.Subnet, out IPNetwork subnet) && IPAddress.TryParse(text.Split('/')[0], out IPAddress? address) && subnet.Contains(address))
            ?? throw new CommandException(string.Create(CultureInfo.InvariantCulture, $"no matching subnet for {what} {text}"), 1);
}
