using Slipway.Engine.Cluster.Networks;
using Slipway.Engine.Cluster.Records;
using Slipway.Engine.Cluster.Votes;
using Slipway.Engine.Networks;
using Xunit;

namespace Slipway.Tests.Unit.Cluster;

/// <summary>What is believed of what members say of their containers.</summary>
public sealed class RemoteContainersTests
{
    private const int Network = 7;

    private static readonly EndpointRecord s_own = TestCluster.Endpoint(1, Network, "10.0.0.2");

    [Fact]
    public void A_member_speaks_of_addresses_of_its_own_blocks_and_of_no_link_that_is_here()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        for (int member = 0; member < 3; member++)
        {
            cluster.Members[member].Claim([Claim.Block(TestCluster.Id(Network), member)]);
        }

        cluster.TellAll();
        OwnRecords second = cluster.Members[1].Own;
        second.Set(TestCluster.Endpoint(10, Network, "10.0.0.66"));
        second.Set(TestCluster.Endpoint(11, Network, "10.0.0.3")); // of the first host's block
        second.Set(TestCluster.Endpoint(12, Network, "10.0.0.130")); // of the third's
        second.Set(TestCluster.Endpoint(13, Network, "10.0.0.200")); // of nobody's
        second.Set(TestCluster.Endpoint(14, Network, "10.1.0.1")); // of another network
        second.Set(TestCluster.Endpoint(15, Network, "10.0.0.67", s_own.Hardware.ToUpperInvariant())); // a container's here
        second.Set(TestCluster.Endpoint(16, Network, "10.0.0.66", "02:42:0a:00:00:77")); // again
        second.Set(TestCluster.Endpoint(17, Network + 1, "10.0.0.68"));
        cluster.Members[2].Own.Set(TestCluster.Endpoint(20, Network, "10.0.0.131"));
        cluster.TellAll();
        Assert.Equal([("192.0.2.2", "10.0.0.66"), ("192.0.2.3", "10.0.0.131")], Selected(cluster));

        // Of a member that is gone nothing is known.
        cluster.Clock.Advance(TimeSpan.FromSeconds(6));
        cluster.Tell(2, 0);
        Assert.Equal([("192.0.2.3", "10.0.0.131")], Selected(cluster));
    }

    private static List<(string, string)> Selected(TestCluster cluster)
    {
        NetworkDocument document = new() { Driver = "overlay", Subnet = "10.0.0.0/24", Gateway = "10.0.0.1", Overlay = new OverlayDocument(5000, 26) };
        UserNetwork network = new(TestCluster.Id(Network), "backend", default, document, type: null!, driver: null!);
        return [.. new RemoteContainers(network).Select(cluster.Members[0], [s_own]).Select(known => (known.Member, known.Endpoint.Address))];
    }
}
