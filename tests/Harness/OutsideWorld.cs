namespace Slipway.Tests.Harness;

/// <summary>A network namespace linked to this host by a veth pair, which plays a machine outside: it has no route to any container.</summary>
public sealed class OutsideWorld : IAsyncDisposable
{
    private readonly string _link;

    private OutsideWorld(string name, string prefix)
    {
        Namespace = $"slipout-{name}";
        _link = $"slipo{name}";
        Address = $"{prefix}.2";
        HostAddress = $"{prefix}.1";
    }

    public string Namespace { get; }

    /// <summary>The outside machine's address.</summary>
    public string Address { get; }

    /// <summary>This host's address on the link.</summary>
    public string HostAddress { get; }

    /// <param name="name">At most 9 letters.</param>
    /// <param name="prefix">The first three numbers of a /24 nobody else uses.</param>
    public static async Task<OutsideWorld> Make(string name, string prefix)
    {
        Requirement.Program("ip", "iproute2");
        Requirement.Program("busybox", "busybox-static");
        var outside = new OutsideWorld(name, prefix);
        await Ip("netns", "add", outside.Namespace);
        await Ip("link", "add", outside._link, "type", "veth", "peer", "name", "eth0", "netns", outside.Namespace);
        await Ip("addr", "add", $"{outside.HostAddress}/24", "dev", outside._link);
        await Ip("link", "set", outside._link, "up");
        await Ip("-n", outside.Namespace, "addr", "add", $"{outside.Address}/24", "dev", "eth0");
        await Ip("-n", outside.Namespace, "link", "set", "eth0", "up");
        await Ip("-n", outside.Namespace, "link", "set", "lo", "up");
        return outside;
    }

    private static async Task Ip(params string[] arguments) => (await Programs.Run("ip", arguments)).Ok();

    public async ValueTask DisposeAsync()
    {
        await Ip("link", "delete", _link);
        await Ip("netns", "delete", Namespace);
    }
}
