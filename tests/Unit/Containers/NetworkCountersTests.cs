using Slipway.Engine.Containers.Stats;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

/// <summary>/proc/pid/net/dev: the columns, and whose interfaces are shown.</summary>
public sealed class NetworkCountersTests
{
    [Fact]
    public void Each_column_is_told_apart()
    {
        var counters = NetworkCounters.Parse(
        [
            "Inter-|   Receive                                                |  Transmit",
            " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed",
            "    lo:  99  98    0    0    0     0          0         0       97      96    0    0    0     0       0          0",
            "  eth0:       1       2    3    4    5     6          7         8        9      10   11   12   13    14      15         16",
            "eth10:20 0 0 0 0 0 0 0 18446744073709551615 0 0 0 0 0 0 0",
            " tunl0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0",
        ])!;
        Assert.Equal(["eth0", "eth10"], counters.Keys);
        var eth0 = counters["eth0"];
        Assert.Equal((1UL, 2UL, 3UL, 4UL), (eth0.RxBytes, eth0.RxPackets, eth0.RxErrors, eth0.RxDropped));
        Assert.Equal((9UL, 10UL, 11UL, 12UL), (eth0.TxBytes, eth0.TxPackets, eth0.TxErrors, eth0.TxDropped));
        Assert.Equal(ulong.MaxValue, counters["eth10"].TxBytes);
    }

    [Fact]
    public void A_namespace_without_interfaces_and_a_process_that_ended_have_none()
    {
        Assert.Null(NetworkCounters.Parse(["    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0"]));
        Assert.Null(NetworkCounters.OfProcess(int.MaxValue));
    }
}
