using System.Globalization;
using System.Text.Json.Nodes;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Faults;

/// <summary>
/// Two hundred networks with five containers each, on a host that is a network namespace: every name leads where it should, and nothing of them is left in the kernel.
/// A container is on five of the networks, which in their ring begin with the one of its number.
/// </summary>
public sealed class ManyNetworksTests : IAsyncLifetime
{
    private const int Count = 200;
    private const int Each = 5;

    private readonly Engine _engine = new("many") { OwnNetworkNamespace = true, Flags = ["--default-address-pool", "base=10.64.0.0/14,size=24"] };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _engine.Start();
        await AlpineImage.Import(_engine.Docker);
        await _engine.Docker.Ok("run", "--rm", "alpine", "true");
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    [Fact]
    public async Task Names_of_two_hundred_networks_are_right_and_nothing_is_left_of_them()
    {
        using var http = new EngineHttp(_engine.Docker.Socket);
        var before = await Kernel();
        for (var i = 0; i < Count; i++)
        {
            (await http.Post("/v1.44/networks/create", $$"""{"Name":"n{{i}}"}""")).Is(201);
        }

        var options = new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Cancellation };
        await Parallel.ForAsync(0, Count, options, async (i, _) =>
        {
            var endpoints = new JsonObject(Networks(i).Select(network => KeyValuePair.Create($"n{network}", (JsonNode?)new JsonObject())));
            var body = new JsonObject
            {
                ["Image"] = "alpine",
                ["Cmd"] = new JsonArray("sleep", "1000"),
                ["HostConfig"] = new JsonObject { ["NetworkMode"] = $"n{i}" },
                ["NetworkingConfig"] = new JsonObject { ["EndpointsConfig"] = endpoints },
            };
            (await http.Post($"/v1.44/containers/create?name=c{i}", body.ToJsonString())).Is(201);
            (await http.Post($"/v1.44/containers/c{i}/start")).Is(204);
        });

        // The truth is what the kernel has, not what the engine says.
        var (addresses, namespaces) = await Addresses(http);
        Assert.Equal(Count * Each, addresses.Values.Distinct().Count());

        // All of ten networks in a row, and one of each ten others.
        int[] asked = [.. Enumerable.Range(0, Count).Where(i => i < 10 || i % 10 == 3)];
        await Parallel.ForEachAsync(asked, options, async (i, _) => Assert.Equal(Expected(i, addresses), await Answers(i)));

        await Parallel.ForAsync(0, Count, options, async (i, _) => (await http.Send(HttpMethod.Delete, $"/v1.44/containers/c{i}?force=1")).Is(204));
        var pruned = (await http.Post("/v1.44/networks/prune")).Is(200);
        Assert.Equal(Count, pruned.Json["NetworksDeleted"]!.AsArray().Count);

        // The kernel takes its time to remove a bridge, and nobody waits for that.
        var after = await Kernel();
        for (var i = 0; i < 120 && after != before; i++)
        {
            await Task.Delay(500, Cancellation);
            after = await Kernel();
        }
        Assert.Equal(before, after);
        Assert.Empty(Held().Intersect(namespaces));
    }

    private static IEnumerable<int> Networks(int container) => Enumerable.Range(container, Each).Select(network => network % Count);

    private static IEnumerable<int> Containers(int network) => Enumerable.Range(network - Each + 1 + Count, Each).Select(container => container % Count);

    /// <summary>What a container is told of all that are on its networks, of one that is on none of them, and of the next by its name alone.</summary>
    private static string Expected(int container, Dictionary<(int Container, int Network), string> addresses) => string.Join('\n', [
        .. from network in Networks(container) from other in Containers(network) select $"c{other}.n{network} {addresses[(other, network)]}",
        $"c{(container + Each) % Count} none",
        $"c{(container + 1) % Count} one of {string.Join(' ', Networks(container).Skip(1).Select(network => addresses[((container + 1) % Count, network)]).Order(StringComparer.Ordinal))}",
    ]);

    private async Task<string> Answers(int container)
    {
        var next = $"c{(container + 1) % Count}";
        string[] names = [.. from network in Networks(container) from other in Containers(network) select $"c{other}.n{network}", $"c{(container + Each) % Count}", next];
        const string Script = """
            for name; do
              address=$(nslookup -type=a "$name." | awk '/^Name:/ { found = 1 } found && /^Address/ { print $NF }' | sort | tr '\n' ' ')
              echo "$name ${address:-none}"
            done
            """;
        var lines = (await _engine.Docker.RunFor(Programs.Limit(60), ["exec", $"c{container}", "sh", "-c", Script, "sh", .. names])).Ok().Lines.Select(line => line.TrimEnd()).ToArray();

        // A name alone is answered from one network that both are on, whichever: shown with all that would be right.
        var own = (await _engine.Docker.Inspect(next, "{{range $name, $net := .NetworkSettings.Networks}}{{$name}}={{$net.IPAddress}} {{end}}")).Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        string[] right = [.. Networks(container).Skip(1).Select(network => own[$"n{network}"]).Order(StringComparer.Ordinal)];
        var given = lines[^1].Split(' ')[1..];
        lines[^1] = given.Length == 1 && right.Contains(given[0]) ? $"{next} one of {string.Join(' ', right)}" : lines[^1];
        return string.Join('\n', lines);
    }

    /// <summary>Of each container in each of its networks, from within its network namespace; and those namespaces.</summary>
    private static async Task<(Dictionary<(int Container, int Network), string> Addresses, HashSet<string> Namespaces)> Addresses(EngineHttp http)
    {
        Dictionary<(int, int), string> addresses = [];
        HashSet<string> namespaces = [];
        for (var i = 0; i < Count; i++)
        {
            var inspected = (await http.Get($"/v1.44/containers/c{i}/json")).Is(200).Json;
            var pid = (int)inspected["State"]!["Pid"]!;
            namespaces.Add(new FileInfo($"/proc/{pid}/ns/net").LinkTarget!);
            var links = JsonNode.Parse((await Programs.Run("nsenter", [$"--net=/proc/{pid}/ns/net", "ip", "-json", "-4", "addr", "show", "scope", "global"])).Ok().Output)!.AsArray();
            var present = links.SelectMany(link => link!["addr_info"]!.AsArray()).Select(address => (string)address!["local"]!).ToHashSet();
            foreach (var network in Networks(i))
            {
                var address = (string)inspected["NetworkSettings"]!["Networks"]![$"n{network}"]!["IPAddress"]!;
                Assert.True(present.Remove(address), $"c{i} has no {address}");
                addresses[(i, network)] = address;
            }
            Assert.Empty(present);
        }
        return (addresses, namespaces);
    }

    /// <summary>Links, rules, sets, routes and rules of routing, as they are shown to everybody.</summary>
    private async Task<string> Kernel()
    {
        List<string> state = [];
        string[][] commands = [["ip", "-br", "link"], ["ip", "route", "show", "table", "all"], ["ip", "-6", "route", "show", "table", "all"], ["ip", "rule"], ["nft", "list", "ruleset"]];
        foreach (var command in commands)
        {
            var lines = (await Programs.Run("nsenter", [$"--net=/run/netns/{_engine.Namespace}", .. command])).Ok().Lines;

            // The links that wait in the default network's pool, and their routes, have names of their own each time, and more or fewer wait.
            state.AddRange(lines.Select(line => command[1] == "-br" ? line.Split([' ', '@'])[0] : line)
                .Where(line => !line.StartsWith("veth", StringComparison.Ordinal) && !line.Contains(" dev veth", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        }
        return string.Join('\n', state);
    }

    /// <summary>Network namespaces that the engine or its supervisor keeps open.</summary>
    private IEnumerable<string> Held() =>
        from process in (int[])[_engine.Pid, _engine.SupervisorPid]
        from descriptor in Directory.EnumerateFileSystemEntries(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/fd"))
        let target = new FileInfo(descriptor).LinkTarget
        where target is not null && target.StartsWith("net:", StringComparison.Ordinal)
        select target;
}
