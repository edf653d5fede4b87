namespace Slipway.Tests.Harness;

/// <summary>A network namespace linked to this host by a veth pair, which plays a machine outside: it has no route to any container.</summary>
public sealed class OutsideWorld : IAsyncDisposable
{
    private OutsideWorld(string name, int network)
    {
        // The process id keeps test runs of several checkouts apart.
        Namespace = $"slipout-{name}{Environment.ProcessId % 100000}";
        Link = $"slipo{name}{Environment.ProcessId % 100000}";
        Address = $"10.{network}.{Environment.ProcessId % 250}.2";
        HostAddress = $"10.{network}.{Environment.ProcessId % 250}.1";
    }

    public string Namespace { get; }

    /// <summary>This host's end of the link.</summary>
    public string Link { get; }

    /// <summary>The outside machine's address.</summary>
    public string Address { get; }

    /// <summary>This host's address on the link.</summary>
    public string HostAddress { get; }

    /// <param name="name">At most 5 letters.</param>
    /// <param name="network">The second number of addresses 10.x that nobody else uses.</param>
    public static async Task<OutsideWorld> Make(string name, int network)
    {
        Requirement.Program("ip", "iproute2");
        Requirement.Program("busybox", "busybox-static");
        var outside = new OutsideWorld(name, network);
        await Ip("netns", "add", outside.Namespace);
        await Ip("link", "add", outside.Link, "type", "veth", "peer", "name", "eth0", "netns", outside.Namespace);
        await Ip("addr", "add", $"{outside.HostAddress}/24", "dev", outside.Link);
        await Ip("link", "set", outside.Link, "up");
        await Ip("-n", outside.Namespace, "addr", "add", $"{outside.Address}/24", "dev", "eth0");
        await Ip("-n", outside.Namespace, "link", "set", "eth0", "up");
        await Ip("-n", outside.Namespace, "link", "set", "lo", "up");
        return outside;
    }

    private static async Task Ip(params string[] arguments) => (await Programs.Run("ip", arguments)).Ok();

    public async ValueTask DisposeAsync()
    {
        await Ip("link", "delete", Link);
        await Ip("netns", "delete", Namespace);
    }
}
