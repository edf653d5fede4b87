using System.Net;
using System.Text.Json.Nodes;

namespace Slipway.Tests.Harness;

/// <summary>Hosts in network namespaces of their own on one switch, 192.0.2.1 and on, with an engine on each that is a member of one cluster.</summary>
/// <param name="name">At most 3 letters.</param>
public sealed class ClusterLab(string name, int hosts) : IAsyncDisposable
{
    private const int Port = 2377;

    private readonly string _switch = $"slipsw-{name}{Environment.ProcessId % 100000}";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("slipway-cluster-");
    private readonly List<Engine> _engines = [];

    public IReadOnlyList<Engine> Engines => _engines;

    /// <summary>Where certificates and configurations lie.</summary>
    public string Folder => _folder.FullName;

    public static string Address(int host) => $"192.0.2.{host + 1}";

    public Docker Docker(int host) => _engines[host].Docker;

    public async Task Start()
    {
        Requirement.Root();
        Requirement.Program("ip", "iproute2");
        await Ip("netns", "add", _switch);
        await Ip("-n", _switch, "link", "add", "switch", "type", "bridge");
        await Ip("-n", _switch, "link", "set", "switch", "up");
        using var authority = TestCertificates.Authority("cluster");
        TestCertificates.Write(Folder, "ca", authority);
        for (var host = 0; host < hosts; host++)
        {
            TestCertificates.IssueMember(Folder, $"host{host}", authority, IPAddress.Parse(Address(host)));
            await File.WriteAllTextAsync(ConfigurationOf(host), Configuration(host, $"host{host}").ToJsonString());
            Engine engine = new($"{name}{host}") { OwnNetworkNamespace = true, Flags = ["--config-file", ConfigurationOf(host)] };
            _engines.Add(engine);
            await engine.MakeNetworkNamespace();
            await Plug(engine, host);
        }
        await Task.WhenAll(_engines.Select(async engine =>
        {
            await engine.Start();
            await AlpineImage.Import(engine.Docker);
        }));
    }

    public string ConfigurationOf(int host) => Path.Combine(Folder, $"host{host}.json");

    /// <param name="certificate">The name of the files that it is a member by.</param>
    public JsonObject Configuration(int host, string certificate) => new()
    {
        ["cluster"] = new JsonObject
        {
            ["listen"] = $"{Address(host)}:{Port}",
            ["members"] = new JsonArray([.. Enumerable.Range(0, hosts).Select(member => (JsonNode)$"{Address(member)}:{Port}")]),
            ["tls"] = new JsonObject { ["ca"] = $"{Folder}/ca.pem", ["cert"] = $"{Folder}/{certificate}.pem", ["key"] = $"{Folder}/{certificate}-key.pem" },
        },
    };

    /// <summary>Pulls a host's wire out of the switch.</summary>
    public Task Cut(int host) => Ip("-n", _switch, "link", "set", $"port{host}", "down");

    /// <summary>Plugs it in again.</summary>
    public Task Join(int host) => Ip("-n", _switch, "link", "set", $"port{host}", "up");

    /// <summary>Lets a host send and get no more than some kilobits a second.</summary>
    public async Task Slow(int host, int kilobits)
    {
        foreach (var (place, link) in new[] { (_switch, $"port{host}"), (_engines[host].Namespace, "wire") })
        {
            (await Programs.Run("tc", ["-n", place, "qdisc", "replace", "dev", link, "root", "tbf", "rate", $"{kilobits}kbit", "burst", "16kb", "latency", "800ms"])).Ok();
        }
    }

    public async Task Quicken(int host)
    {
        foreach (var (place, link) in new[] { (_switch, $"port{host}"), (_engines[host].Namespace, "wire") })
        {
            (await Programs.Run("tc", ["-n", place, "qdisc", "del", "dev", link, "root"])).Ok();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_engines.Select(engine => engine.DisposeAsync().AsTask()));
        await Ip("netns", "delete", _switch);
        _folder.Delete(recursive: true);
    }

    private async Task Plug(Engine engine, int host)
    {
        await Ip("-n", _switch, "link", "add", $"port{host}", "type", "veth", "peer", "name", "wire", "netns", engine.Namespace);
        await Ip("-n", _switch, "link", "set", $"port{host}", "master", "switch", "up");
        await Ip("-n", engine.Namespace, "addr", "add", $"{Address(host)}/24", "dev", "wire");
        await Ip("-n", engine.Namespace, "link", "set", "wire", "up");
    }

    private static async Task Ip(params string[] arguments) => (await Programs.Run("ip", arguments)).Ok();
}
