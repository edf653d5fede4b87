using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Networks outlive the engine; the engine's cleanup leaves nothing of them.</summary>
public sealed class NetworkRestartTests
{
    [Fact]
    public async Task Networks_names_and_ports_come_back_with_the_engine_and_go_with_its_cleanup()
    {
        await using var engine = new Engine("nrst");
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        var docker = engine.Docker;
        var subnet = TestSubnet.Next();
        var id = await docker.Ok("network", "create", "--subnet", $"{subnet}.0/24", "--label", "a=b", "kept");
        await docker.Ok("network", "create", "other");
        await docker.Ok("run", "-d", "--name", "server", "--network", "kept", "--network-alias", "web", "-p", "127.0.0.1:0:80", "alpine", "sh", "-c", "while :; do echo answer | nc -l -p 80; done");
        await docker.Ok("run", "-d", "--name", "client", "--network", "kept", "alpine", "sleep", "1000");
        var before = await docker.Inspect("server", "{{json .NetworkSettings.Networks}} {{json .NetworkSettings.Ports}}");

        await engine.Kill();
        await engine.Start();
        Assert.Equal(before, await docker.Inspect("server", "{{json .NetworkSettings.Networks}} {{json .NetworkSettings.Ports}}"));
        Assert.Equal($"{id} b", await docker.Ok("network", "inspect", "-f", "{{.Id}} {{.Labels.a}}", "kept"));
        await Works(docker, subnet);
        (await docker.Run("network", "rm", "kept")).Exited(1).Says("has active endpoints");
        (await docker.Run("run", "--rm", "--network", "kept", "--ip", await docker.Inspect("server", "{{.NetworkSettings.Networks.kept.IPAddress}}"), "alpine", "true"))
            .Exited(125).Says("Address already in use");

        // As after a boot: nothing of it is in the kernel.
        await docker.Ok("stop", "-t", "0", "server", "client");
        await engine.Stop();
        await engine.CleanUp();
        Assert.False(Directory.Exists($"/sys/class/net/br-{id[..12]}"));
        Assert.DoesNotContain(id[..12], (await Programs.Run("nft", ["list", "ruleset"])).Ok().Output, StringComparison.Ordinal);
        Assert.DoesNotContain($"{subnet}.", (await Programs.Run("ip", ["-4", "addr"])).Ok().Output, StringComparison.Ordinal);
        await engine.Start();
        await docker.Ok("start", "server", "client");
        await Works(docker, subnet);
    }

    [Fact]
    public async Task The_first_container_after_a_start_gets_the_first_address()
    {
        await using var engine = new Engine("nfst");
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        for (var time = 1; time <= 4; time++)
        {
            await engine.Stop();
            await engine.Start();
            var address = await engine.Docker.Ok("run", "--rm", "alpine", "sh", "-c", "ip -4 -o addr show eth0 | awk '{print $4}'");
            Assert.Equal($"{engine.Gateway[..^1]}2/{engine.PrefixLength}", address);
        }
    }

    [Fact]
    public async Task Rules_that_another_program_takes_out_come_back()
    {
        await using var engine = new Engine("nrule") { OwnNetworkNamespace = true };
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        await engine.Docker.Ok("network", "create", "own");
        await engine.Docker.Ok("run", "-d", "--network", "own", "-p", "8080:80", "alpine", "sh", "-c", "while :; do echo answer | nc -l -p 80; done");
        string[] inside = [$"--net=/run/netns/{engine.Namespace}"];
        var table = (await Programs.Run("nsenter", [.. inside, "nft", "list", "tables", "ip"])).Ok().Lines.Single(line => line.Contains("slipway-", StringComparison.Ordinal)).Split(' ')[^1];
        var before = await Rules();
        foreach (var command in (string[])[$"flush map ip {table} published", $"flush chain ip {table} output", $"flush set ip {table} protected", $"flush table ip {table}", "flush ruleset"])
        {
            (await Programs.Run("nsenter", [.. inside, "nft", command])).Ok();
            for (var clock = System.Diagnostics.Stopwatch.StartNew(); await Rules() != before && clock.Elapsed < Programs.Limit(20);)
            {
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }

            Assert.Equal(before, await Rules());
            Assert.Equal("answer", (await Programs.Run("nsenter", [.. inside, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3"])).Ok().Line);
        }

        Assert.Contains("rules of networks were deleted by another program, and made again", await File.ReadAllTextAsync(engine.LogPath, TestContext.Current.CancellationToken), StringComparison.Ordinal);

        async Task<string> Rules() => string.Join('\n', (await Programs.Run("nsenter", [.. inside, "nft", "list", "ruleset"])).Ok().Lines.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_macvlan_network_comes_back_with_the_engine_and_goes_with_its_cleanup()
    {
        await using var outside = await OutsideWorld.Make("mvr", 209);
        await using var engine = new Engine("mvrst");
        await engine.Start();
        await AlpineImage.Import(engine.Docker);
        var docker = engine.Docker;
        var prefix = outside.Address[..outside.Address.LastIndexOf('.')];
        await docker.Ok("network", "create", "-d", "macvlan", "-o", $"parent={outside.Link}", "--subnet", $"{prefix}.0/24", "--gateway", outside.Address, "lan");
        var own = await docker.Ok("network", "create", "-d", "macvlan", "own");
        string[] sleeper = ["--network", "lan", "--ip", $"{prefix}.9", "alpine", "sleep", "1000"];
        await docker.Ok(["run", "-d", "--name", "one", .. sleeper]);
        await docker.Ok("run", "-d", "--name", "two", "--network", "lan", "--network", "own", "alpine", "sleep", "1000");

        await engine.Kill();
        await engine.Start();
        await docker.Ok("exec", "two", "ping", "-c", "1", "-w", "5", "one");
        (await docker.Run(["run", "--rm", .. sleeper])).Exited(125).Says("Address already in use");

        // The new engine finds the link it has to remove, in a container that goes on or that ends.
        await docker.Ok("network", "disconnect", "lan", "one");
        Assert.DoesNotContain(prefix, await docker.Ok("exec", "one", "ip", "addr"), StringComparison.Ordinal);
        await docker.Ok(["run", "-d", "--name", "three", .. sleeper]);
        await docker.Ok("exec", "three", "ping", "-c", "1", "-w", "5", outside.Address);
        await docker.Ok("stop", "-t", "0", "one", "two", "three");
        await engine.Stop();
        await engine.CleanUp();
        Assert.False(Directory.Exists($"/sys/class/net/dm-{own[..12]}"));
        Assert.True(Directory.Exists($"/sys/class/net/{outside.Link}"));
        await engine.Start();
        await docker.Ok("start", "two", "three");
        await docker.Ok("exec", "two", "ping", "-c", "1", "-w", "5", "three");
        Assert.True(Directory.Exists($"/sys/class/net/dm-{own[..12]}"));
    }

    private static async Task Works(Docker docker, string subnet)
    {
        Assert.Contains($"{subnet}.2", await docker.Ok("exec", "client", "nslookup", "web."), StringComparison.Ordinal);
        (await docker.Run("exec", "client", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 web 80 < /dev/null && exit; sleep 0.2; done; exit 1")).Ok().Says("answer");
        var port = (await docker.Ok("port", "server", "80/tcp")).Split(':')[^1];
        (await Programs.Run("busybox", ["sh", "-c", $"for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 127.0.0.1 {port} < /dev/null && exit; sleep 0.2; done; exit 1"])).Ok().Says("answer");
    }
}
