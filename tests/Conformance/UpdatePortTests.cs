using System.Net;
using System.Net.Sockets;
using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>slipway update of published ports.</summary>
public sealed class UpdatePortTests(SharedEngine engine) : SlipwayVolumeTest(engine)
{
    private const string Serve = "while :; do nc -l -p 80 -e echo first; done & while :; do nc -l -p 81 -e echo second; done & exec sleep 1000";

    [Fact]
    public async Task Ports_of_a_running_container_are_published_and_not_any_more()
    {
        Assert.SkipUnless(IsSlipway, "Docker changes no ports");
        var name = Container();
        int[] free = Free(3);
        await Docker.Ok("run", "-d", "--name", name, "-p", $"127.0.0.1:{free[0]}:80", "alpine", "sh", "-c", Serve);
        Assert.Equal("first", await Fetch(free[0]));
        Assert.Equal(name, await Slipway("update", "--publish-add", $"127.0.0.1:{free[1]}:81", "--publish-add", $"127.0.0.1:{free[2]}:80", name));
        Assert.Equal("second", await Fetch(free[1]));
        Assert.Equal("first", await Fetch(free[2]));
        Assert.Equal("first", await Fetch(free[0]));
        Assert.Contains($"127.0.0.1:{free[1]}", await Docker.Ok("port", name, "81/tcp"), StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{free[2]}->80/tcp", await Docker.Ok("ps", "--filter", $"name={name}", "--format", "{{.Ports}}"), StringComparison.Ordinal);

        await Slipway("update", "--publish-rm", $"{free[0]}:80/tcp", name);
        Assert.Null(await Fetch(free[0]));
        Assert.Equal("first", await Fetch(free[2]));

        // Nobody else was let have it meanwhile, and now somebody may.
        using (var other = new TcpListener(IPAddress.Loopback, free[0]))
        {
            other.Start();
            (await TrySlipway("update", "--publish-add", $"127.0.0.1:{free[0]}:80", name)).Exited(1).Says("address already in use");
        }

        await Docker.Ok("restart", "-t", "0", name);
        Assert.Equal("second", await Fetch(free[1]));
        Assert.Null(await Fetch(free[0]));
        await Slipway("update", "--publish-rm", "80", "--publish-rm", "81/tcp", name);
        Assert.Null(await Fetch(free[1]));
        Assert.Equal("", await Docker.Ok("port", name));
        Assert.Equal("0", await Docker.Inspect(name, "{{len .HostConfig.PortBindings}}"));
    }

    [Theory]
    [InlineData("port 99/tcp is not published", "--publish-rm", "99/tcp")]
    [InlineData("port 1:80/tcp is not published", "--publish-rm", "1:80/tcp")]
    [InlineData("nothing is mounted on /x", "--publish-add", "81", "--mount-rm", "/x")]
    [InlineData("not a directory", "--publish-add", "81", "--publish-rm", "80", "--mount-add", "type=tmpfs,dst=/etc/passwd")]
    public async Task What_cannot_be_is_refused_and_changes_nothing(string message, params string[] options)
    {
        Assert.SkipUnless(IsSlipway, "Docker changes no ports");
        var name = Container();
        await Docker.Ok("run", "-d", "--name", name, "-p", "80", "alpine", "sleep", "1000");
        var before = await Docker.Ok("port", name);
        (await TrySlipway(["update", .. options, name])).Exited(1).Says(message);
        Assert.Equal(before, await Docker.Ok("port", name));
        Assert.Equal("map[80/tcp:[{ }]]", await Docker.Inspect(name, "{{.HostConfig.PortBindings}}"));
    }

    [Fact]
    public async Task On_a_network_of_ones_own_and_on_none()
    {
        Assert.SkipUnless(IsSlipway, "Docker changes no ports");
        var (network, name, alone) = (Container("net"), Container(), Container("alone"));
        await Docker.Ok("network", "create", network);
        Cleanup(() => Docker.Run("network", "rm", network));
        Cleanup(() => Docker.Run("rm", "-f", name));
        await Docker.Ok("run", "-d", "--name", name, "--network", network, "alpine", "sh", "-c", Serve);
        var port = Free(1)[0];
        await Slipway("update", "--publish-add", $"127.0.0.1:{port}:81", name);
        Assert.Equal("second", await Fetch(port));
        await Docker.Ok("run", "-d", "--name", alone, "--network", "none", "alpine", "sleep", "1000");
        (await TrySlipway("update", "--publish-add", "80", alone)).Exited(1).Says("publishes no ports");
    }

    /// <summary>Null where nobody answers. The server may take a moment to listen, so what is expected to answer is asked again.</summary>
    private static async Task<string?> Fetch(int port)
    {
        for (var attempt = 0; attempt < 20; attempt++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, Cancellation);
                using var reader = new StreamReader(client.GetStream());
                if (await reader.ReadToEndAsync(Cancellation) is { Length: > 0 } text)
                {
                    return text.Trim();
                }
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                // Nobody listens, or not yet.
            }

            await Task.Delay(100, Cancellation);
        }

        return null;
    }

    /// <summary>Ports that are free now, all at once so that they differ.</summary>
    private static int[] Free(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToList();
        listeners.ForEach(listener => listener.Start());
        int[] ports = [.. listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        listeners.ForEach(listener => listener.Stop());
        return ports;
    }
}
