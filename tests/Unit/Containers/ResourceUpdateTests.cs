using Slipway.Api.Containers;
using Slipway.Engine;
using Slipway.Engine.Containers.Update;
using Xunit;

namespace Slipway.Tests.Unit.Containers;

/// <summary>What `docker update` makes of a container's limits.</summary>
public sealed class ResourceUpdateTests
{
    [Fact]
    public void What_is_not_given_stays()
    {
        var current = new HostConfig
        {
            Memory = 100, MemorySwap = 200, MemoryReservation = 50, CpuShares = 3, CpuQuota = 4, CpuPeriod = 5, CpusetCpus = "0", CpusetMems = "0", PidsLimit = 6, BlkioWeight = 7,
            RestartPolicy = new RestartPolicy("always"), OomScoreAdj = 8,
        };
        Assert.Equal(current, ResourceUpdate.Merge(current, new ContainerUpdateRequest()));
    }

    [Fact]
    public void What_is_given_replaces_and_the_container_is_not_touched()
    {
        var current = new HostConfig { Memory = 100, MemorySwap = 200, PidsLimit = 6, RestartPolicy = new RestartPolicy("always") };
        var merged = ResourceUpdate.Merge(current, new ContainerUpdateRequest { Memory = 300, MemorySwap = -1, PidsLimit = -5, RestartPolicy = new RestartPolicy("on-failure", 2) });
        Assert.Equal((300, -1, 0, new RestartPolicy("on-failure", 2)), (merged.Memory, merged.MemorySwap, merged.PidsLimit, merged.RestartPolicy));
        Assert.Equal((100, 200, 6), (current.Memory, current.MemorySwap, current.PidsLimit));
    }

    public static TheoryData<HostConfig, ContainerUpdateRequest, string> Contradictions => new()
    {
        { new HostConfig { CpuPeriod = 1 }, new ContainerUpdateRequest { NanoCpus = 1 }, "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set" },
        { new HostConfig { CpuQuota = 1 }, new ContainerUpdateRequest { NanoCpus = 1 }, "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set" },
        { new HostConfig { NanoCpus = 1 }, new ContainerUpdateRequest { CpuPeriod = 1 }, "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set" },
        { new HostConfig { NanoCpus = 1 }, new ContainerUpdateRequest { CpuQuota = 1 }, "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set" },
        {
            new HostConfig { Memory = 1, MemorySwap = 2 }, new ContainerUpdateRequest { Memory = 3 },
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        },
        {
            new HostConfig { Memory = 1, MemorySwap = -1 }, new ContainerUpdateRequest { Memory = 3 },
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        },
        { new HostConfig { Memory = 3, MemorySwap = 6 }, new ContainerUpdateRequest { MemorySwap = 2 }, "Minimum memoryswap limit should be larger than memory limit, see usage" },
        {
            new HostConfig { AutoRemove = true }, new ContainerUpdateRequest { RestartPolicy = new RestartPolicy("always") },
            "Restart policy cannot be updated because AutoRemove is enabled for the container"
        },
    };

    [Theory]
    [MemberData(nameof(Contradictions))]
    public void Contradictions_are_told_in_Dockers_words(HostConfig current, ContainerUpdateRequest change, string message)
    {
        var exception = Assert.Throws<EngineException>(() => ResourceUpdate.Merge(current, change));
        Assert.Equal((ErrorKind.Conflict, message), (exception.Kind, exception.Message));
    }
}
