using Slipway.Api.Containers;
using Slipway.Engine.Containers.State;

namespace Slipway.Engine.Containers;

/// <summary>Docker's restart policies, and <c>on-unhealthy</c>: as <c>on-failure</c>, and also when the health check says that the container failed.</summary>
internal static class RestartDecision
{
    public const string OnUnhealthy = "on-unhealthy";

    public static bool ShouldRestart(RestartPolicy policy, RunState state) => policy.Name switch
    {
        "always" => true,
        "unless-stopped" => !state.StoppedByUser,
        "on-failure" or OnUnhealthy => state.ExitCode != 0 && (policy.MaximumRetryCount == 0 || state.RestartCount < policy.MaximumRetryCount),
        _ => false,
    };

    /// <summary>Whether a container that runs and became unhealthy is to be ended and started again.</summary>
    public static bool ShouldRestartUnhealthy(RestartPolicy policy, RunState state) =>
        policy.Name == OnUnhealthy && (policy.MaximumRetryCount == 0 || state.RestartCount < policy.MaximumRetryCount);

    /// <summary>Whether an engine that starts also starts the container: it once ran, and its policy wants it to.</summary>
    public static bool ShouldStartWithEngine(RestartPolicy policy, RunState state) =>
        state.StartedAt is not null && ShouldRestart(policy, state) && (policy.Name is not ("on-failure" or OnUnhealthy) || !state.StoppedByUser);
}
