using System.Net;
using Slipway.Engine.Cluster.Votes;
using Xunit;

namespace Slipway.Tests.Unit.Cluster;

/// <summary>What only one may have: who gets it, and when.</summary>
public sealed class VoteTests
{
    private static readonly Claim s_name = Claim.Name(TestCluster.Id(1), "backend");

    [Fact]
    public void A_new_cluster_votes_when_all_members_were_heard_once()
    {
        TestCluster cluster = new(3);
        Assert.Null(cluster.Members[0].Claim([s_name]));
        cluster.Tell(0, 1);
        cluster.Tell(1, 0);
        cluster.Tell(0, 1);
        cluster.Tell(1, 0);
        Assert.False(cluster.Members[0].Claims.Has(s_name));
        Assert.False(cluster.Members[1].Voter.IsExperienced);
        cluster.TellAll();
        Assert.True(cluster.Members[0].Claims.Has(s_name));
        Assert.All(cluster.Members, member => Assert.True(member.Voter.IsExperienced));
    }

    [Fact]
    public void More_than_half_of_all_members_must_agree_those_included_that_are_away()
    {
        TestCluster cluster = new(5);
        cluster.TellAll();
        cluster.Members[0].Claim([s_name]);
        cluster.Tell(0, 1);
        Assert.False(cluster.Members[0].Claims.Has(s_name));
        cluster.Tell(0, 2);
        Assert.True(cluster.Members[0].Claims.Has(s_name));
        Claim other = s_name with { Network = TestCluster.Id(2) };
        cluster.Members[4].Claim([other]);
        cluster.TellAll();
        Assert.False(cluster.Members[4].Claims.Has(other));
        Refusal refusal = Assert.IsType<Refusal>(cluster.Members[4].Claims.RefusedBy(other));
        Assert.Equal((s_name.Key, "192.0.2.1", TestCluster.Id(1)), (refusal.Key, refusal.Holder, refusal.Network));
    }

    [Fact]
    public void What_is_given_back_somebody_else_gets()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        cluster.Members[0].Claim([s_name]);
        cluster.TellAll();
        cluster.Members[0].Release(claim => claim == s_name);
        Claim other = s_name with { Network = TestCluster.Id(2) };
        cluster.Members[1].Claim([other]);
        cluster.TellAll();
        Assert.True(cluster.Members[1].Claims.Has(other));
        Assert.False(cluster.Members[0].Claims.Has(s_name));
    }

    [Fact]
    public void Silence_and_restarts_give_nothing_away()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        cluster.Members[0].Claim([s_name]);
        cluster.TellAll();
        cluster.Clock.Advance(TimeSpan.FromDays(365));
        cluster.Restart(1);
        cluster.Restart(2);
        Claim other = s_name with { Network = TestCluster.Id(2) };
        cluster.Members[1].Claim([other]);
        cluster.TellAll(except: 0);
        Assert.False(cluster.Members[1].Claims.Has(other));
        cluster.Restart(0);
        Assert.True(cluster.Members[0].Claims.Has(s_name));
    }

    [Fact]
    public void A_member_that_lost_its_disk_gives_back_what_it_had_and_votes_when_it_knows_what_the_others_have()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        cluster.Members[0].Claim([s_name]);
        cluster.TellAll(except: 2); // with the votes of 0 and 1
        cluster.Restart(1, forgets: true);
        Claim other = s_name with { Network = TestCluster.Id(2) };
        cluster.Members[2].Claim([other]);
        cluster.TellAll(except: 0); // the one that has it is cut off: its vote is forgotten, but not given away
        Assert.False(cluster.Members[2].Claims.Has(other));
        cluster.TellAll();
        Assert.False(cluster.Members[2].Claims.Has(other));
        Assert.True(cluster.Members[1].Voter.IsExperienced);

        cluster.Restart(0, forgets: true);
        cluster.TellAll();
        Assert.True(cluster.Members[2].Claims.Has(other));
    }

    [Fact]
    public void Subnets_that_overlap_exclude_each_other()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        Claim wide = Claim.Subnet(TestCluster.Id(1), IPNetwork.Parse("10.0.0.0/16"));
        Claim within = Claim.Subnet(TestCluster.Id(2), IPNetwork.Parse("10.0.9.0/24"));
        Claim beside = Claim.Subnet(TestCluster.Id(3), IPNetwork.Parse("10.1.0.0/16"));
        cluster.Members[0].Claim([wide]);
        cluster.TellAll();
        cluster.Members[1].Claim([within]);
        cluster.Members[2].Claim([beside]);
        cluster.TellAll();
        Assert.False(cluster.Members[1].Claims.Has(within));
        Assert.True(cluster.Members[2].Claims.Has(beside));
        Assert.Equal(wide, cluster.Members[0].Claim([within])); // nor may one member have both
    }

    [Fact]
    public void The_name_of_a_network_that_is_removed_is_free_though_its_owner_is_away()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        cluster.Members[0].Claim([s_name, Claim.Number(TestCluster.Id(1), 5000)]);
        cluster.TellAll();
        cluster.Members[1].Remove(TestCluster.Id(1));
        Claim name = s_name with { Network = TestCluster.Id(2) };
        Claim number = Claim.Number(TestCluster.Id(2), 5000);
        cluster.Members[1].Claim([name, number]);
        cluster.TellAll(except: 0);
        Assert.True(cluster.Members[1].Claims.Has(name));
        Assert.False(cluster.Members[1].Claims.Has(number)); // containers of the host that is away may use it still
    }
}
