using Slipway.Kernel.Netlink;
using Slipway.Networking;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>What holds in a sandbox from the start, however many were made before it.</summary>
public sealed class SandboxSettingsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_sandbox_has_dockers_settings_and_the_makers_namespace_keeps_its_own()
    {
        // More than one procfs is used for.
        const int count = 40;
        string before = Read();
        await using SandboxFactory factory = await SandboxFactory.CreateAsync(null, Cancellation);
        List<Sandbox> sandboxes = [];
        try
        {
            for (int i = 0; i < count; i++)
            {
                sandboxes.Add(await factory.MakeIsolatedAsync(Cancellation));
            }

            foreach (Sandbox sandbox in sandboxes)
            {
                Assert.Equal("0 2147483647|0|1", await InsideAsync(sandbox, Read));
            }
        }
        finally
        {
            sandboxes.ForEach(sandbox => sandbox.Dispose());
        }

        Assert.Equal(before, Read());
        Assert.NotEqual("0 2147483647|0|1", before);
    }

    [Fact]
    public async Task A_sandbox_made_elsewhere_gets_the_same()
    {
        await using NamespaceThread maker = new("test-maker");
        NetworkNamespace made = await maker.RunAsync(
            () =>
            {
                using NetworkNamespace home = NetworkNamespace.OfThisThread();
                return NamespaceThread.InNewNamespace(home, created => created);
            },
            Cancellation);
        using Sandbox sandbox = await AdoptedSandbox.AdoptAsync(made.Duplicate(), Cancellation);
        made.Dispose();
        Assert.Equal("0 2147483647|0|1", await InsideAsync(sandbox, Read));
    }

    private static string Read() => string.Join('|', new[] { "ipv4/ping_group_range", "ipv4/ip_unprivileged_port_start", "ipv6/conf/default/disable_ipv6" }
        .Select(name => File.ReadAllText("/proc/sys/net/" + name).Trim().Replace('\t', ' ')));

    private static async Task<T> InsideAsync<T>(Sandbox sandbox, Func<T> call)
    {
        using NetworkNamespace inside = NetworkNamespace.FromDescriptor(sandbox.DuplicateNamespace());
        await using NamespaceThread thread = new("test-inside", inside);
        return await thread.RunAsync(call, Cancellation);
    }
}
