using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

/// <summary>Docker's restart policies.</summary>
internal static class RestartDecision
{
    public static bool ShouldRestart(RestartPolicy policy, RunState state) => policy.Name switch
    {
        "always" => true,
        "unless-stopped" => !state.StoppedByUser,
        "on-failure" => state.ExitCode != 0 && (policy.MaximumRetryCount == 0 || state.RestartCount < policy.MaximumRetryCount),
        _ => false,
    };

    /// <summary>Whether an engine that starts also starts the container: it once ran, and its policy wants it to.</summary>
    public static bool ShouldStartWithEngine(RestartPolicy policy, RunState state) =>
        state.StartedAt is not null && ShouldRestart(policy, state) && (policy.Name != "on-failure" || !state.StoppedByUser);
}
