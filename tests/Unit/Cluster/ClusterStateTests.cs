using System.Text.Json;
using Slipway.Engine.Cluster;
using Slipway.Engine.Cluster.Records;
using Slipway.Engine.Cluster.Votes;
using Xunit;

namespace Slipway.Tests.Unit.Cluster;

/// <summary>Who is there, what members know of each other's containers, and what is believed.</summary>
public sealed class ClusterStateTests
{
    [Fact]
    public void A_member_that_is_silent_for_five_seconds_is_gone_with_its_containers_and_comes_back()
    {
        TestCluster cluster = new(2);
        cluster.TellAll();
        cluster.Members[0].Own.Set(TestCluster.Endpoint(1, 7, "10.0.0.2"));
        cluster.Tell(0, 1);
        Assert.Equal([("192.0.2.1", "10.0.0.2")], Known(cluster, 1));
        cluster.Clock.Advance(TimeSpan.FromSeconds(4.9));
        cluster.Members[1].Tick();
        Assert.NotEmpty(Known(cluster, 1));
        long revision = cluster.Members[1].Revision;
        cluster.Clock.Advance(TimeSpan.FromSeconds(0.2));
        cluster.Members[1].Tick();
        Assert.Empty(Known(cluster, 1));
        Assert.NotEqual(revision, cluster.Members[1].Revision);
        cluster.Tell(0, 1);
        Assert.NotEmpty(Known(cluster, 1));
    }

    [Fact]
    public void A_host_that_refuses_connections_is_there_for_ten_minutes()
    {
        TestCluster cluster = new(2);
        cluster.TellAll();
        cluster.Members[0].Own.Set(TestCluster.Endpoint(1, 7, "10.0.0.2"));
        cluster.Tell(0, 1);
        for (int second = 0; second < 599; second++)
        {
            cluster.Clock.Advance(TimeSpan.FromSeconds(1));
            cluster.Members[1].Failed(cluster.Peer(1, 0), refused: true, "Connection refused");
        }

        Assert.NotEmpty(Known(cluster, 1));
        for (int second = 0; second < 10; second++)
        {
            cluster.Clock.Advance(TimeSpan.FromSeconds(1));
            cluster.Members[1].Failed(cluster.Peer(1, 0), refused: true, "Connection refused");
        }

        Assert.Empty(Known(cluster, 1));
    }

    [Fact]
    public void Of_hosts_that_were_not_heard_yet_nothing_is_known_to_be_gone()
    {
        TestCluster cluster = new(3);
        Assert.True(cluster.Members[0].IsUncertain("192.0.2.2"));
        cluster.Tell(1, 0);
        Assert.False(cluster.Members[0].IsUncertain("192.0.2.2"));
        cluster.Clock.Advance(TimeSpan.FromSeconds(6));
        Assert.False(cluster.Members[0].IsUncertain("192.0.2.3"));
        cluster.Members[0].Failed(cluster.Peer(0, 2), refused: true, "Connection refused"); // its engine is not running yet either
        Assert.True(cluster.Members[0].IsUncertain("192.0.2.3"));
        Assert.False(cluster.Members[0].IsUncertain("203.0.113.1"));
    }

    [Fact]
    public void Changes_are_told_in_order_and_of_many_in_pieces()
    {
        TestCluster cluster = new(2);
        cluster.TellAll();
        const int Many = (2 * OwnRecords.MaxChanges) + 10;
        for (int i = 0; i < Many; i++)
        {
            cluster.Members[0].Own.Set(TestCluster.Endpoint(i, 7, $"10.0.{i / 256}.{i % 256}", "02:42:0a:00:00:01"));
        }

        cluster.Members[0].Own.RemoveEndpoint(TestCluster.Id(3));
        cluster.Tell(0, 1);
        Assert.Equal(OwnRecords.MaxChanges, Known(cluster, 1).Count);
        cluster.Tell(0, 1);
        cluster.Tell(0, 1);
        Assert.Equal(Many - 1, Known(cluster, 1).Count);
        Assert.Equal(cluster.Members[0].Own.Position, cluster.Peer(0, 1).Has);
        cluster.Members[0].Own.RemoveEndpoint(TestCluster.Id(4));
        cluster.Tell(0, 1);
        Assert.Equal(Many - 2, Known(cluster, 1).Count);
    }

    [Fact]
    public void What_a_restarted_engine_knew_stays_until_it_has_told_all_again()
    {
        TestCluster cluster = new(2);
        cluster.TellAll();
        cluster.Members[0].Own.Set(TestCluster.Endpoint(1, 7, "10.0.0.2"));
        cluster.Tell(0, 1);
        cluster.Restart(0);
        for (int i = 0; i < OwnRecords.MaxChanges + 1; i++)
        {
            cluster.Members[0].Own.Set(TestCluster.Endpoint(i + 10, 7, $"10.0.1.{i % 256}", "02:42:0a:00:00:01"));
        }

        cluster.Tell(0, 1);
        Assert.Equal([("192.0.2.1", "10.0.0.2")], Known(cluster, 1));
        cluster.Tell(0, 1);
        Assert.Equal(OwnRecords.MaxChanges + 1, Known(cluster, 1).Count);

        // And the one that restarts is told all.
        cluster.Restart(1);
        cluster.Tell(1, 0);
        cluster.Tell(0, 1);
        cluster.Tell(0, 1);
        Assert.Equal(OwnRecords.MaxChanges + 1, Known(cluster, 1).Count);
    }

    [Fact]
    public void A_late_message_of_a_former_life_changes_nothing()
    {
        TestCluster cluster = new(2);
        cluster.TellAll();
        cluster.Members[0].Own.Set(TestCluster.Endpoint(1, 7, "10.0.0.2"));
        Push late = cluster.Members[0].PushTo(cluster.Peer(0, 1));
        cluster.Restart(0);
        cluster.Tell(0, 1);
        cluster.Members[1].Receive(late);
        Assert.Empty(Known(cluster, 1));
    }

    [Fact]
    public void Many_that_come_and_go_leave_no_trace()
    {
        TestCluster cluster = new(2);
        cluster.TellAll();
        long incarnation = cluster.Members[0].Own.Position.Incarnation;
        cluster.Members[0].Own.Set(TestCluster.Endpoint(1, 7, "10.0.0.2"));
        for (int i = 0; i < 6000; i++)
        {
            cluster.Members[0].Own.Set(TestCluster.Endpoint(i + 10, 7, "10.0.0.3"));
            cluster.Members[0].Own.RemoveEndpoint(TestCluster.Id(i + 10));
        }

        Assert.Equal(incarnation + 1, cluster.Members[0].Own.Position.Incarnation); // all begin anew, rather than being told of each
        for (int i = 0; i < 20; i++)
        {
            cluster.Tell(0, 1);
        }

        Assert.Equal([("192.0.2.1", "10.0.0.2")], Known(cluster, 1));
    }

    [Fact]
    public void A_block_is_its_owners_whatever_another_member_says()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        Claim block = Claim.Block(TestCluster.Id(7), 0);
        cluster.Members[0].Claim([block]);
        cluster.TellAll();
        Assert.Equal("192.0.2.1", cluster.Members[1].OwnerOf(block));
        Push lie = new() { From = "192.0.2.3", ClaimsVersion = long.MaxValue, Claims = [new HeldClaim(block, IsOwned: true)] };
        cluster.Members[1].Receive(lie);
        Assert.Equal("192.0.2.1", cluster.Members[1].OwnerOf(block));
        cluster.Members[0].Receive(lie);
        Assert.Equal("192.0.2.1", cluster.Members[0].OwnerOf(block));
        Assert.Null(cluster.Members[1].OwnerOf(Claim.Block(TestCluster.Id(7), 1)));
    }

    [Fact]
    public void A_network_that_one_removes_is_removed_for_all_also_for_those_that_hear_it_from_others()
    {
        TestCluster cluster = new(3);
        cluster.TellAll();
        cluster.Members[0].Own.Set(new NetworkRecord { Id = TestCluster.Id(7), Name = "backend", Document = JsonDocument.Parse("{}").RootElement });
        cluster.TellAll();
        Assert.Contains(cluster.Members[2].Networks, network => network is { Name: "backend", IsRemoved: false });
        cluster.Members[1].Remove(TestCluster.Id(7));
        cluster.Tell(1, 0);
        Assert.True(cluster.Members[0].IsRemoved(TestCluster.Id(7)));
        cluster.Members[0].Remove(TestCluster.Id(7)); // as it does when it has removed it
        cluster.Tell(0, 2);
        Assert.True(cluster.Members[2].IsRemoved(TestCluster.Id(7)));
        cluster.Restart(0);
        Assert.True(cluster.Members[0].IsRemoved(TestCluster.Id(7)));
    }

    /// <summary>A member with a proper certificate, and bad intentions: nothing of such a message is taken.</summary>
    [Theory]
    [InlineData("From", "\"203.0.113.9\"")]
    [InlineData("Claims", """[{"Claim":{"Key":"subnet/everything","Network":"NETWORK"},"IsOwned":true}]""")]
    [InlineData("Claims", """[{"Claim":{"Key":"block/other/0","Network":"NETWORK"},"IsOwned":true}]""")]
    [InlineData("Claims", """[{"Claim":{"Key":"name/x","Network":"../../etc"},"IsOwned":true}]""")]
    [InlineData("Claims", """[null]""")]
    [InlineData("Claims", """[{"Claim":null,"IsOwned":true}]""")]
    [InlineData("ClaimsVersion", "-1")]
    [InlineData("Records", "null")]
    [InlineData("Records", """{"Incarnation":5,"Changes":null}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[null]}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[{"Version":1}]}""")]
    [InlineData("Records", """{"Incarnation":5,"Since":9,"Changes":[{"Version":1,"Gone":"endpoint/x"}]}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[{"Version":1,"Endpoint":{"Id":"short","Network":"NETWORK","Address":"10.0.0.2","Hardware":"02:42:0a:00:00:02","Names":["x"]}}]}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[{"Version":1,"Endpoint":{"Id":"NETWORK","Network":"NETWORK","Address":"10.0.0.02","Hardware":"02:42:0a:00:00:02","Names":["x"]}}]}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[{"Version":1,"Endpoint":{"Id":"NETWORK","Network":"NETWORK","Address":"::1","Hardware":"02:42:0a:00:00:02","Names":["x"]}}]}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[{"Version":1,"Endpoint":{"Id":"NETWORK","Network":"NETWORK","Address":"10.0.0.2","Hardware":"ff:ff:ff:ff:ff:ff","Names":["x"]}}]}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[{"Version":1,"Endpoint":{"Id":"NETWORK","Network":"NETWORK","Address":"10.0.0.2","Hardware":"02:42:0a:00:00:02","Names":[]}}]}""")]
    [InlineData("Records", """{"Incarnation":5,"Changes":[{"Version":1,"Network":{"Id":"NETWORK","Name":"x"}}]}""")]
    public void A_message_that_no_engine_makes_is_refused_as_a_whole(string property, string value)
    {
        TestCluster cluster = new(2);
        cluster.TellAll();
        Dictionary<string, string> parts = new()
        {
            ["From"] = "\"192.0.2.1\"",
            ["Claims"] = "[]",
            ["ClaimsVersion"] = $"{long.MaxValue}",
            ["Records"] = """{"Incarnation":9223372036854775807,"IsWhole":true,"Changes":[{"Version":1,"Endpoint":{"Id":"NETWORK","Network":"NETWORK","Address":"10.0.0.2","Hardware":"02:42:0a:00:00:02","Names":["x"]}}]}""",
        };
        Assert.NotNull(Receive(cluster.Members[1], parts));
        parts["Records"] = parts["Records"].Replace("10.0.0.2", "10.0.0.9", StringComparison.Ordinal).Replace("\"Version\":1", "\"Version\":2", StringComparison.Ordinal);
        parts[property] = value;
        Assert.Throws<ClusterProtocolException>(() => Receive(cluster.Members[1], parts));
        Assert.Equal([("192.0.2.1", "10.0.0.2")], Known(cluster, 1));
    }

    [Fact]
    public void Records_of_a_member_are_bounded()
    {
        PeerRecords records = new();
        Assert.Throws<ClusterProtocolException>(() =>
        {
            for (int i = 0; i <= PeerRecords.MaxRecords; i++)
            {
                records.Apply(new RecordDelta { Incarnation = 1, Since = i, Changes = [new RecordChange(i + 1, null, TestCluster.Endpoint(i, 7, "10.0.0.2", "02:42:0a:00:00:02"), null)], IsWhole = true });
            }
        });
        Assert.True(records.Endpoints.Count() <= PeerRecords.MaxRecords + 1);
        List<RecordChange> many = [.. Enumerable.Range(1, OwnRecords.MaxChanges + 1).Select(i => new RecordChange(i, null, null, "endpoint/x"))];
        Assert.Throws<ClusterProtocolException>(() => new Push { From = "192.0.2.1", Records = new RecordDelta { Incarnation = 1, Changes = many } }.Validate());
    }

    private static PushAnswer Receive(ClusterState member, Dictionary<string, string> parts)
    {
        string json = "{" + string.Join(',', parts.Select(part => $"\"{part.Key}\":{part.Value}")) + "}";
        return member.Receive(JsonSerializer.Deserialize(json.Replace("NETWORK", TestCluster.Id(7), StringComparison.Ordinal), ClusterJson.Default.Push)!);
    }

    private static List<(string Member, string Address)> Known(TestCluster cluster, int member) =>
        [.. cluster.Members[member].Endpoints.Select(known => (known.Member, known.Endpoint.Address))];
}
