using System.Net;
using Slipway.Api.Containers;
using Slipway.Engine.Containers;
using Slipway.Engine.Containers.State;
using Slipway.Networking;
using Slipway.Storage.State;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

public sealed class StateTests
{
    [Fact]
    public void A_container_survives_its_row()
    {
        ContainerSnapshot container = new()
        {
            Id = new string('a', 64),
            Name = "name",
            Created = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
            ImageId = "sha256:x",
            Config = new ContainerConfig { Image = "busybox", Cmd = ["a", "b"], Env = ["A=1"], Labels = new() { ["k"] = "v" } },
            HostConfig = new HostConfig { Memory = 5, AutoRemove = true, PidsLimit = 7 },
            Mounts = [new ContainerMount("bind", "/a", "/b", ["rbind"], "ro", true, "rprivate")],
            RequestedEndpoints = new Dictionary<string, EndpointSettings?> { ["bridge"] = new EndpointSettings { MacAddress = "02:00:00:00:00:01" } },
            State = new RunState
            {
                Phase = ContainerPhase.Paused,
                Pid = 4,
                StartedAt = new DateTimeOffset(2026, 1, 2, 3, 4, 6, TimeSpan.Zero),
                Endpoint = new StoredEndpoint
                {
                    EndpointId = "e", Address = "10.0.0.2", PrefixLength = 24, Gateway = "10.0.0.1", MacAddress = "02:42:0a:00:00:02", HostLink = "veth0",
                    Ports = [new StoredPort(PortProtocol.Udp, 53, "0.0.0.0", 5353)],
                },
            },
        };
        ContainerRow row = ContainerDocuments.ToRow(container);
        ContainerSnapshot read = ContainerDocuments.FromRow(row);
        ContainerRow again = ContainerDocuments.ToRow(read);
        Assert.Equal(row.Config, again.Config);
        Assert.Equal(row.HostConfig, again.HostConfig);
        Assert.Equal(row.Networking, again.Networking);
        Assert.Equal(row.State, again.State);
        Assert.Equal(["a", "b"], read.Config.Cmd);
        Assert.Equal((5L, 7L), (read.HostConfig.Memory, read.HostConfig.PidsLimit));
        Assert.Equal(container.State with { Endpoint = null }, read.State with { Endpoint = null });
        EndpointInfo endpoint = read.State.Endpoint!.ToEndpoint();
        Assert.Equal(("10.0.0.2", 24, (ushort)5353), (endpoint.Ipv4!.Address.ToString(), endpoint.Ipv4.PrefixLength, endpoint.Ports[0].HostPort));
        Assert.Null(endpoint.Ipv6);
        EndpointInfo dual = endpoint with { Ipv4 = null, Ipv6 = new EndpointAddress(IPAddress.Parse("fd00::2"), 64, IPAddress.Parse("fd00::1")) };
        Assert.Equal((dual.Ipv4, dual.Ipv6), (StoredEndpoint.From(dual).ToEndpoint().Ipv4, StoredEndpoint.From(dual).ToEndpoint().Ipv6));
    }

    [Theory]
    [InlineData("no", 0, 1, 0, false, false)]
    [InlineData("always", 0, 0, 9, true, true)]
    [InlineData("unless-stopped", 0, 0, 0, false, true)]
    [InlineData("unless-stopped", 0, 0, 0, true, false)]
    [InlineData("on-failure", 0, 0, 0, false, false)]
    [InlineData("on-failure", 0, 1, 50, false, true)]
    [InlineData("on-failure", 3, 1, 2, false, true)]
    [InlineData("on-failure", 3, 1, 3, false, false)]
    public void Restart_policies(string policy, int maximum, int exitCode, int restarts, bool stopped, bool restart) => Assert.Equal(
        restart,
        RestartDecision.ShouldRestart(new RestartPolicy(policy, maximum), new RunState { ExitCode = exitCode, RestartCount = restarts, StoppedByUser = stopped }));

    [Fact]
    public void Restart_delays_double_up_to_a_minute_and_begin_anew_after_a_long_run()
    {
        RestartDelay delay = default;
        List<double> pauses = [];
        for (int i = 0; i < 12; i++)
        {
            delay = delay.Next(TimeSpan.FromSeconds(1));
            pauses.Add(delay.Pause.TotalSeconds);
        }

        Assert.Equal([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60], pauses);
        Assert.Equal(0.1, delay.Next(TimeSpan.FromSeconds(10)).Pause.TotalSeconds);
    }

    [Fact]
    public async Task Waits_tell_exits_and_removal_apart()
    {
        ContainerWaits waits = new();
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        Task<ContainerWaitResponse> exit = waits.Register(WaitCondition.NextExit, cancellation);
        Task<ContainerWaitResponse> removed = waits.Register(WaitCondition.Removed, cancellation);
        waits.Exited(4);
        Assert.Equal(4, (await exit).StatusCode);
        Assert.False(removed.IsCompleted);
        waits.Removed(4);
        Assert.Equal(4, (await removed).StatusCode);
        Assert.Equal(4, (await waits.Register(WaitCondition.NextExit, cancellation)).StatusCode);
    }

    [Fact]
    public async Task A_lock_is_handed_on_in_order_and_past_those_who_gave_up()
    {
        AsyncLock gate = new();
        using CancellationTokenSource impatient = new();
        AsyncLock.Holder first = await gate.AcquireAsync(CancellationToken.None);
        Task<AsyncLock.Holder> second = gate.AcquireAsync(impatient.Token).AsTask();
        Task<AsyncLock.Holder> third = gate.AcquireAsync(CancellationToken.None).AsTask();
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(third.IsCompleted);
        first.Dispose();
        (await third).Dispose();
        (await gate.AcquireAsync(CancellationToken.None)).Dispose();
    }
}
