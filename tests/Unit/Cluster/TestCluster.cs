using System.Text.Json;
using Slipway.Engine.Cluster;
using Slipway.Engine.Cluster.Records;

namespace Slipway.Tests.Unit.Cluster;

/// <summary>Members 192.0.2.1 and on, whose messages arrive when a test says so.</summary>
internal sealed class TestCluster
{
    private readonly string[] _names;
    private readonly ClusterMemory[] _disks;

    public TestCluster(int count)
    {
        _names = [.. Enumerable.Range(1, count).Select(number => $"192.0.2.{number}")];
        _disks = [.. _names.Select(_ => new ClusterMemory(null, null, null))];
        Members = [.. _names.Select(name => new ClusterState(name, _names, _disks[0], Clock))];
    }

    public ManualClock Clock { get; } = new();

    public ClusterState[] Members { get; }

    public static string Id(int number) => number.ToString("x64", System.Globalization.CultureInfo.InvariantCulture);

    public static EndpointRecord Endpoint(int id, int network, string address, string? hardware = null, params string[] names) => new()
    {
        Id = Id(id),
        Network = Id(network),
        Address = address,
        Hardware = hardware ?? $"02:42:0a:00:00:{id:x2}",
        Names = names.Length > 0 ? [.. names] : [$"c{id}"],
    };

    public ClusterPeer Peer(int member, int other) => Members[member].Peers.Single(peer => peer.Name == _names[other]);

    /// <summary>A message and its answer, as they are on the wire.</summary>
    public void Tell(int from, int to)
    {
        byte[] push = JsonSerializer.SerializeToUtf8Bytes(Members[from].PushTo(Peer(from, to)), ClusterJson.Default.Push);
        PushAnswer answer = Members[to].Receive(JsonSerializer.Deserialize(push, ClusterJson.Default.Push)!);
        Members[from].Answered(Peer(from, to), JsonSerializer.Deserialize(JsonSerializer.SerializeToUtf8Bytes(answer, ClusterJson.Default.PushAnswer), ClusterJson.Default.PushAnswer)!);
    }

    /// <summary>All tell all, as long as it takes to agree on everything.</summary>
    public void TellAll(params int[] except)
    {
        for (int round = 0; round < 4; round++)
        {
            foreach (int from in Enumerable.Range(0, Members.Length).Except(except))
            {
                foreach (int to in Enumerable.Range(0, Members.Length).Except(except).Where(to => to != from))
                {
                    Tell(from, to);
                }
            }
        }
    }

    /// <summary>A member ends and begins again.</summary>
    /// <param name="forgets">It has lost its disk.</param>
    public void Restart(int member, bool forgets = false)
    {
        Members[member].NotSaved();
        ClusterMemory memory = Members[member].TakeUnsaved();
        Clock.Advance(TimeSpan.FromSeconds(1));
        Members[member] = new ClusterState(_names[member], _names, forgets ? new ClusterMemory(null, null, null) : memory, Clock);
    }
}
