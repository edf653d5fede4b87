using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>`docker run --link` on the default network: variables, names, and what becomes of them.</summary>
public sealed class LinkTests(SharedEngine engine) : EngineTest(engine)
{
    private async Task<(string Name, string Address)> Server(params string[] options)
    {
        var name = Container("db");
        await Docker.Ok(["run", "-d", "--name", name, .. options, "alpine", "sleep", "1000"]);
        return (name, await Docker.Inspect(name, "{{.NetworkSettings.IPAddress}}"));
    }

    [Fact]
    [RunOption("--link")]
    public async Task The_linked_container_is_found_by_alias_name_and_hostname()
    {
        var (server, address) = await Server("--hostname", "dbhost");
        var client = Container("web");
        var hosts = (await Docker.Run("run", "--name", client, "--link", $"{server}:store", "alpine", "cat", "/etc/hosts")).Ok();
        Assert.Contains($"{address}\tstore dbhost {server}", hosts.Lines);
        Assert.Equal($"[/{server}:/{client}/store]", await Docker.Inspect(client, "{{.HostConfig.Links}}"));
        Assert.Equal($"{client}/store,{server}", await Docker.Ok("ps", "--filter", $"name=^{server}$", "--no-trunc", "--format", "{{.Names}}") is var names
            ? string.Join(',', names.Split(',').Order(StringComparer.Ordinal).OrderByDescending(name => name.Contains('/'))) : "");
    }

    [Fact]
    public async Task Variables_tell_ports_ranges_and_the_environment_of_the_linked_container()
    {
        var (server, address) = await Server("--expose", "5432", "--expose", "53/udp", "--expose", "7001", "--expose", "7002", "-e", "SECRET=a=b");
        var client = Container("web");
        await Docker.Ok("run", "-d", "--name", client, "--link", $"{server}:my-db", "-e", "MY_DB_ENV_OVER=own", "alpine", "sleep", "1000");
        foreach (var lines in new[]
        {
            (await Docker.Run("exec", client, "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ")).Ok().Lines,
            (await Docker.Run("exec", client, "env")).Ok().Lines,
        })
        {
            Assert.Equal(
                [
                    $"MY_DB_PORT=tcp://{address}:5432",
                    $"MY_DB_PORT_5432_TCP=tcp://{address}:5432",
                    $"MY_DB_PORT_5432_TCP_ADDR={address}",
                    "MY_DB_PORT_5432_TCP_PORT=5432",
                    "MY_DB_PORT_5432_TCP_PROTO=tcp",
                    $"MY_DB_PORT_7001_TCP=tcp://{address}:7001",
                    $"MY_DB_PORT_7001_TCP_ADDR={address}",
                    "MY_DB_PORT_7001_TCP_PORT=7001",
                    "MY_DB_PORT_7001_TCP_PROTO=tcp",
                    $"MY_DB_PORT_7002_TCP=tcp://{address}:7002",
                    $"MY_DB_PORT_7002_TCP_ADDR={address}",
                    "MY_DB_PORT_7002_TCP_PORT=7002",
                    "MY_DB_PORT_7002_TCP_PROTO=tcp",
                    $"MY_DB_PORT_7001_TCP_START=tcp://{address}:7001",
                    "MY_DB_PORT_7001_TCP_PORT_START=7001",
                    $"MY_DB_PORT_7001_TCP_END=tcp://{address}:7002",
                    "MY_DB_PORT_7001_TCP_PORT_END=7002",
                    $"MY_DB_PORT_53_UDP=udp://{address}:53",
                    $"MY_DB_PORT_53_UDP_ADDR={address}",
                    "MY_DB_PORT_53_UDP_PORT=53",
                    "MY_DB_PORT_53_UDP_PROTO=udp",
                    $"MY_DB_NAME=/{client}/my-db",
                    "MY_DB_ENV_SECRET=a=b",
                    "MY_DB_ENV_OVER=own",
                ],
                lines.Where(line => line.StartsWith("MY_DB_", StringComparison.Ordinal)));
        }
    }

    [Fact]
    public async Task A_linked_container_that_comes_back_elsewhere_is_found_again()
    {
        var (server, before) = await Server();
        var client = Container("web");
        await Docker.Ok("run", "-d", "--name", client, "--link", $"{server}:store", "alpine", "sleep", "1000");
        await Docker.Ok("stop", "-t", "0", server);

        // The address that was given back is taken by somebody else.
        await Docker.Ok("run", "-d", "--name", Container("other"), "alpine", "sleep", "1000");
        await Docker.Ok("start", server);
        var after = await Docker.Inspect(server, "{{.NetworkSettings.IPAddress}}");
        Assert.Contains($"{after}\tstore ", (await Docker.Run("exec", client, "cat", "/etc/hosts")).Ok().Output, StringComparison.Ordinal);
        if (after != before)
        {
            Assert.DoesNotContain($"{before}\tstore ", (await Docker.Run("exec", client, "cat", "/etc/hosts")).Ok().Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_link_is_removed_and_its_container_stays()
    {
        var (server, _) = await Server();
        var client = Container("web");
        await Docker.Ok("create", "--name", client, "--link", $"{server}:store", "alpine", "cat", "/etc/hosts");
        Assert.Contains("cannot remove the default link name of the container", (await Docker.Run("rm", "--link", server)).Error, StringComparison.Ordinal);
        Assert.NotEqual(0, (await Docker.Run("rm", "--link", $"{client}/nosuch")).ExitCode);
        await Docker.Ok("rm", "--link", $"{client}/store");
        Assert.Equal("[]", await Docker.Inspect(client, "{{.HostConfig.Links}}"));
        Assert.Equal("true", await Docker.Inspect(server, "{{.State.Running}}"));
        Assert.DoesNotContain("store", (await Docker.Run("start", "-a", client)).Ok().Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Links_that_cannot_be_are_refused_in_Docker_s_words()
    {
        var (server, _) = await Server();
        Assert.Contains("could not get container for nosuch", (await Docker.Run("create", "--link", "nosuch:x", "alpine", "true")).Error, StringComparison.Ordinal);
        Assert.Contains("bad format for links: a:b:c", (await Docker.Run("create", "--link", "a:b:c", "alpine", "true")).Error, StringComparison.Ordinal);
        Assert.Contains(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
            (await Docker.Run("create", "--network", "host", "--link", server, "alpine", "true")).Error, StringComparison.Ordinal);
        Assert.Contains("can't be used with links", (await Docker.Run("create", "--network", $"container:{server}", "--link", server, "alpine", "true")).Error, StringComparison.Ordinal);
        var client = Container("web");
        await Docker.Ok("create", "--name", client, "--link", $"{server}:store", "alpine", "true");
        await Docker.Ok("stop", "-t", "0", server);
        Assert.Contains($"Cannot link to a non running container: /{server} AS /{client}/store", (await Docker.Run("start", client)).Error, StringComparison.Ordinal);

        // A link to what is gone is gone too.
        await Docker.Ok("rm", server);
        await Docker.Ok("start", client);
        Assert.Equal("[]", await Docker.Inspect(client, "{{.HostConfig.Links}}"));
    }
}
