using Slipway.Api.Containers;

namespace Slipway.Server.Http;

/// <summary>What clients of older versions of the API meant by saying nothing, or could not have meant by what they say.</summary>
internal static class OldDefaults
{
    public static void Apply(ContainerCreateRequest create, ApiVersion version)
    {
        if (version < new ApiVersion(1, 44) && create.Healthcheck is { } check)
        {
            check.StartInterval = 0;
        }

        if (create.HostConfig is not { } host)
        {
            return;
        }

        if (version < new ApiVersion(1, 40) && host.IpcMode.Length == 0)
        {
            // 1.40 made private the default of the engine's choice; before, others could always join.
            host.IpcMode = "shareable";
        }

        if (version < new ApiVersion(1, 41) && host.CgroupnsMode.Length == 0)
        {
            host.CgroupnsMode = "host";
        }

        if (version < new ApiVersion(1, 42))
        {
            // Such clients send a size without a terminal and devices' weights of 0.
            host.ConsoleSize = null;
        }
    }
}
