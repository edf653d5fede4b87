using Slipway.Api.Containers;
using Slipway.Kernel.Files;
using Slipway.Oci.Runtime;

namespace Slipway.Engine.Containers.Launch;

/// <summary>Limits of the API as those of the runtime specification.</summary>
internal static class SpecResources
{
    private const ulong CpuPeriod = 100_000;

    public static ResourcesSpec Build(Resources limits, IReadOnlyList<DeviceCgroupRule> deviceRules) => new()
    {
        Devices = deviceRules,
        Memory = new MemoryResources
        {
            Limit = Given(limits.Memory),
            Reservation = Given(limits.MemoryReservation),
            Swap = Given(limits.MemorySwap),
            Swappiness = limits.MemorySwappiness is >= 0 and long swappiness ? (ulong)swappiness : null,
            DisableOOMKiller = limits.OomKillDisable == true ? true : null,
        },
        Cpu = new CpuResources
        {
            Shares = limits.CpuShares > 0 ? (ulong)limits.CpuShares : null,
            Period = limits.NanoCpus > 0 ? CpuPeriod : limits.CpuPeriod > 0 ? (ulong)limits.CpuPeriod : null,
            Quota = limits.NanoCpus > 0 ? limits.NanoCpus * (long)CpuPeriod / 1_000_000_000 : Given(limits.CpuQuota),
            RealtimePeriod = limits.CpuRealtimePeriod > 0 ? (ulong)limits.CpuRealtimePeriod : null,
            RealtimeRuntime = Given(limits.CpuRealtimeRuntime),
            Cpus = limits.CpusetCpus.Length > 0 ? limits.CpusetCpus : null,
            Mems = limits.CpusetMems.Length > 0 ? limits.CpusetMems : null,
        },
        Pids = limits.PidsLimit is > 0 and long pids ? new PidsResources(pids) : null,
        BlockIO = new BlockIOResources
        {
            Weight = limits.BlkioWeight > 0 ? limits.BlkioWeight : null,
            WeightDevice = Weights(limits.BlkioWeightDevice),
            ThrottleReadBpsDevice = Throttles(limits.BlkioDeviceReadBps),
            ThrottleWriteBpsDevice = Throttles(limits.BlkioDeviceWriteBps),
            ThrottleReadIOPSDevice = Throttles(limits.BlkioDeviceReadIOps),
            ThrottleWriteIOPSDevice = Throttles(limits.BlkioDeviceWriteIOps),
        },
    };

    private static long? Given(long value) => value == 0 ? null : value;

    private static List<Slipway.Oci.Runtime.WeightDevice> Weights(List<Slipway.Api.Containers.WeightDevice>? devices) =>
        (devices ?? []).ConvertAll(device =>
        {
            DeviceNumber number = DeviceSpecs.NumberOf(device.Path);
            return new Slipway.Oci.Runtime.WeightDevice(number.Major, number.Minor, device.Weight);
        });

    private static List<Slipway.Oci.Runtime.ThrottleDevice> Throttles(List<Slipway.Api.Containers.ThrottleDevice>? devices) =>
        (devices ?? []).ConvertAll(device =>
        {
            DeviceNumber number = DeviceSpecs.NumberOf(device.Path);
            return new Slipway.Oci.Runtime.ThrottleDevice(number.Major, number.Minor, device.Rate);
        });
}
